import type { Reply } from './messages.js';
import { STATUS_WORDS } from './status.js';

/** The last lease written, kept because most leases equal the one before. */
let lastMs = -1;
let lastField = '';

function leaseField(leaseMs: number): string {
  if (leaseMs !== lastMs) {
    lastField = ` ${leaseMs / 1000}\n`;
    lastMs = leaseMs;
  }
  return lastField;
}

/** The line of a reply, LF included (spec 3). */
export function encodeReply(r: Reply): string {
  switch (r.s) {
    case 'granted':
      return 'ok ' + r.token + leaseField(r.leaseMs);
    case 'acquired':
      return `acquired ${r.token} ${r.leaseMs / 1000}\n`;
    case 'renewed':
      return `ok ${r.leaseMs / 1000}\n`;
    case 'ok':
      return 'ok\n';
    case 'timeout':
      return 'timeout\n';
    case 'delivered':
      return `ok ${r.count}\n`;
    case 'stats':
      return `ok ${r.json}\n`;
    case 'not_leader':
      return r.leader === '' ? 'error_not_leader\n' : `error_not_leader ${r.leader}\n`;
    default:
      return `${STATUS_WORDS[r.s]}\n`;
  }
}

/** The last signal written, kept because most signals go to more than one listener. */
let lastChannel = '';
let lastPayload = '';
let lastFrame = '';

/** The unsolicited line of a signal (spec 6.2). */
export function encodePush(channel: string, payload: string): string {
  if (payload !== lastPayload || channel !== lastChannel) {
    lastFrame = `sig ${channel} ${payload}\n`;
    lastChannel = channel;
    lastPayload = payload;
  }
  return lastFrame;
}
