import type { Command } from '../../../core/types.js';
import { trimBytes } from '../../../protocol/bytes.js';
import { LINE_CAP, MAX_SECONDS, SIGNAL_LINE_CAP } from '../../../protocol/limits.js';
import type { Kind, Limit } from '../../../protocol/messages.js';
import { isChannel } from '../../../protocol/patterns.js';
import { isKey } from '../../../protocol/request-parser.js';
import { type BodyFields, readBody } from '../json/json-body.js';
import { BODIES, type RouteName } from '../routing/routes.js';

/** The command of a request, or what is wrong with it. */
type Parsed = Command | string;

/** Makes the command of a request from its key and its body. */
export type CommandParser = (key: string, body: Buffer) => Parsed;

/** What is wrong with a name in a path; undefined if nothing is. @param what key or channel */
export function nameFault(what: string, name: string): string | undefined {
  if (name.length > LINE_CAP) return `the ${what} is too long: at most ${LINE_CAP} bytes`;
  return isKey(name) ? undefined : `the ${what} must not contain a space, a tab or a line break`;
}

const LEASE = 'lease_ttl_s';

/** What is wrong with a number of seconds. */
function secondsFault(name: string, value: Limit): string | undefined {
  if (value < 0) return `${name} must not be negative`;
  return value > MAX_SECONDS ? `${name} is too large: at most ${MAX_SECONDS}` : undefined;
}

const limitFault = (limit: Limit): string | undefined => (limit >= 1 ? undefined : 'limit must be 1 or more');

function tokenFault(token: string): string | undefined {
  if (token === '') return 'token is missing or empty';
  if (token.length > LINE_CAP) return `token is too long: at most ${LINE_CAP} bytes`;
  return isKey(token) ? undefined : 'token must not contain a space, a tab or a line break';
}

/** Milliseconds; safe, because it has been checked. */
const ms = (seconds: Limit): number => Number(seconds) * 1000;

const acquireLock: CommandParser = (key, body) => {
  const fields = readBody(body, BODIES.ACQUIRE);
  return typeof fields === 'string' ? fields : acquire('lock', key, 1, fields);
};

const acquireSemaphore: CommandParser = (key, body) => {
  const fields = readBody(body, BODIES.SEM_ACQUIRE);
  return typeof fields === 'string' ? fields : acquire('sem', key, fields.limit, fields);
};

function acquire(
  kind: Kind,
  key: string,
  limit: Limit,
  { acquire_timeout_s: wait, lease_ttl_s: lease }: BodyFields<typeof BODIES.ACQUIRE>,
): Parsed {
  const fault = secondsFault('acquire_timeout_s', wait) ?? limitFault(limit) ?? secondsFault(LEASE, lease);
  return fault ?? { t: 'acquire', kind, key, limit, waitMs: ms(wait), leaseMs: ms(lease) };
}

const enqueueLock: CommandParser = (key, body) => {
  const fields = readBody(body, BODIES.LEASE, true);
  return typeof fields === 'string' ? fields : enqueue('lock', key, 1, fields.lease_ttl_s);
};

const enqueueSemaphore: CommandParser = (key, body) => {
  const fields = readBody(body, BODIES.SEM_ENQUEUE);
  return typeof fields === 'string' ? fields : enqueue('sem', key, fields.limit, fields.lease_ttl_s);
};

const enqueue = (kind: Kind, key: string, limit: Limit, lease: Limit): Parsed =>
  limitFault(limit) ?? secondsFault(LEASE, lease) ?? { t: 'enqueue', kind, key, limit, leaseMs: ms(lease) };

const wait =
  (kind: Kind): CommandParser =>
  (key, body) => {
    const fields = readBody(body, BODIES.WAIT);
    if (typeof fields === 'string') return fields;
    const { timeout_s: timeout } = fields;
    return secondsFault('timeout_s', timeout) ?? { t: 'wait', kind, key, waitMs: ms(timeout) };
  };

const release =
  (kind: Kind): CommandParser =>
  (key, body) => {
    const fields = readBody(body, BODIES.RELEASE);
    if (typeof fields === 'string') return fields;
    const { token } = fields;
    return tokenFault(token) ?? { t: 'release', kind, key, token };
  };

const renew =
  (kind: Kind): CommandParser =>
  (key, body) => {
    const fields = readBody(body, BODIES.RENEW);
    if (typeof fields === 'string') return fields;
    const { token, lease_ttl_s: lease } = fields;
    const fault = tokenFault(token) ?? secondsFault(LEASE, lease);
    if (fault !== undefined) return fault;
    // They would share a line of the protocol.
    if (lease > 0 && `${token} ${lease}`.length > LINE_CAP) {
      return `token and ${LEASE} are too long: at most ${LINE_CAP} bytes together`;
    }
    return { t: 'renew', kind, key, token, leaseMs: ms(lease) };
  };

/** Also checks the form of the channel. */
const publish: CommandParser = (channel, body) => {
  const fields = readBody(body, BODIES.SIGNAL);
  if (typeof fields === 'string') return fields;
  const { payload } = fields;
  if (trimBytes(payload) === '') return 'payload is empty or blank';
  if (!isChannel(channel)) return 'the channel must not contain a wildcard';
  if (/[\r\n]/.test(payload)) return 'payload must not contain a line break';
  if ('sig  '.length + channel.length + payload.length > SIGNAL_LINE_CAP) {
    return `payload is too large: at most ${SIGNAL_LINE_CAP - 'sig  '.length} bytes with the channel`;
  }
  return { t: 'signal', channel, payload };
};

/** The routes that execute a command, with how it is made. */
export const COMMANDS: Readonly<Partial<Record<RouteName, CommandParser>>> = {
  acquireLock,
  releaseLock: release('lock'),
  renewLock: renew('lock'),
  enqueueLock,
  waitLock: wait('lock'),
  acquireSemaphore,
  releaseSemaphore: release('sem'),
  renewSemaphore: renew('sem'),
  enqueueSemaphore,
  waitSemaphore: wait('sem'),
  publishSignal: publish,
};
