import type { Ms } from '../common/system.js';
import type { Kind, Limit, Request } from './messages.js';

/** Durations are sent as whole seconds, rounded up (spec 14.1). */
const seconds = (ms: Ms): number => Math.ceil(ms / 1000);

const prefix = (kind: Kind): string => (kind === 'sem' ? 's' : '');

const optionalLease = (leaseMs: Ms): string => (leaseMs === 0 ? '' : ` ${seconds(leaseMs)}`);

const optionalLimit = (kind: Kind, limit: Limit): string => (kind === 'sem' ? ` ${limit}` : '');

/** The three lines of a request (spec 3). The caller must have validated its fields: the protocol escapes nothing. */
export function encodeRequest(r: Request): string {
  switch (r.t) {
    case 'acquire':
      return `${prefix(r.kind)}l\n${r.key}\n${seconds(r.waitMs)}${optionalLimit(r.kind, r.limit)}${optionalLease(r.leaseMs)}\n`;
    case 'release':
      return `${prefix(r.kind)}r\n${r.key}\n${r.token}\n`;
    case 'renew':
      return `${prefix(r.kind)}n\n${r.key}\n${r.token}${optionalLease(r.leaseMs)}\n`;
    case 'enqueue':
      return `${prefix(r.kind)}e\n${r.key}\n${(optionalLimit(r.kind, r.limit) + optionalLease(r.leaseMs)).slice(1)}\n`;
    case 'wait':
      return `${prefix(r.kind)}w\n${r.key}\n${seconds(r.waitMs)}\n`;
    case 'auth':
      return `auth\n_\n${r.token}\n`;
    case 'ping':
    case 'stats':
      return `${r.t}\n_\n\n`;
    case 'listen':
    case 'unlisten':
      return `${r.t}\n${r.pattern}\n${r.group}\n`;
    case 'signal':
      return `signal\n${r.channel}\n${r.payload}\n`;
  }
}
