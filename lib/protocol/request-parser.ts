import { splitFields, trimBytes } from './bytes.js';
import { MAX_SECONDS, SIGNAL_LINE_CAP } from './limits.js';
import type { Kind, Limit, Request } from './messages.js';
import { isChannel, isPattern } from './patterns.js';

/** Parses three lines (trailing CRs removed); undefined if the answer is `error` (spec 1.4, 3). */
export function parseRequest(command: string, key: string, argument: string): Request | undefined {
  switch (command) {
    case 'l':
      return acquire('lock', key, splitFields(argument), 1);
    case 'sl':
      return acquire('sem', key, splitFields(argument));
    case 'r':
      return release('lock', key, argument);
    case 'sr':
      return release('sem', key, argument);
    case 'n':
      return renew('lock', key, argument);
    case 'sn':
      return renew('sem', key, argument);
    case 'e':
      return enqueue('lock', key, splitFields(argument), 1);
    case 'se':
      return enqueue('sem', key, splitFields(argument));
    case 'w':
      return wait('lock', key, argument);
    case 'sw':
      return wait('sem', key, argument);
    case 'ping':
      return { t: 'ping' };
    case 'stats':
      return { t: 'stats' };
    case 'auth':
      return { t: 'auth', token: trimBytes(argument) };
    case 'listen':
    case 'unlisten':
      return isKey(key) && isPattern(key) ? { t: command, pattern: key, group: trimBytes(argument) } : undefined;
    case 'signal':
      return signal(key, argument);
    default:
      return undefined;
  }
}

/**
 * The same for a request of the usual shape: `command` and `key` have no white space, and `argument` has at most one
 * space, between two fields, at `space` (-1: none). Nothing is scanned twice.
 */
export function parseUsual(command: string, key: string, argument: string, space: number): Request | undefined {
  if (key === '' || argument === '') return parseRequest(command, key, argument);
  switch (command) {
    case 'l': {
      const waitMs = seconds(space < 0 ? argument : argument.slice(0, space), 0);
      const leaseMs = space < 0 ? 0 : seconds(argument.slice(space + 1), 1);
      if (waitMs === undefined || leaseMs === undefined) return undefined;
      return { t: 'acquire', kind: 'lock', key, limit: 1, waitMs, leaseMs };
    }
    case 'r':
      return { t: 'release', kind: 'lock', key, token: argument };
    case 'n': {
      const leaseMs = space < 0 ? 0 : seconds(argument.slice(space + 1), 1);
      if (leaseMs === undefined) return undefined;
      return { t: 'renew', kind: 'lock', key, token: space < 0 ? argument : argument.slice(0, space), leaseMs };
    }
    default:
      return parseRequest(command, key, argument);
  }
}

/** Whether a key is not empty and has no SP, HT, LF or CR; all other bytes are legal (spec 1.3). */
export function isKey(key: string): boolean {
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    if (code <= 0x20 && (code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d)) return false;
  }
  return key.length > 0;
}

const INTEGER = /^[+-]?[0-9]+$/;
const INT64_MAX = 2n ** 63n - 1n;

/** A positive ASCII decimal in the range of int64 (spec 1.3); undefined for anything else. */
function positive(field: string | undefined): Limit | undefined {
  if (field === undefined || !INTEGER.test(field)) return undefined;
  const value = Number(field);
  if (Number.isSafeInteger(value)) return value > 0 ? value : undefined;
  const exact = BigInt(field.replace('+', ''));
  return exact > 0n && exact <= INT64_MAX ? exact : undefined;
}

/** The value of up to nine digits; -1 for any other text. */
function fewDigits(field: string): number {
  if (field.length === 0 || field.length > 9) return -1;
  let value = 0;
  for (let i = 0; i < field.length; i++) {
    const digit = field.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Seconds on the wire as milliseconds; undefined if out of range (spec 1.3, 1.4). */
function seconds(field: string | undefined, least: 0 | 1): number | undefined {
  if (field === undefined) return undefined;
  const few = fewDigits(field);
  if (few < 0 && !INTEGER.test(field)) return undefined;
  const value = few < 0 ? Number(field) || 0 : few; // not -0
  return value >= least && value <= MAX_SECONDS ? value * 1000 : undefined;
}

/** The optional last field; 0 if absent, which means the server's default. */
const lease = (fields: readonly string[], at: number): number | undefined =>
  fields.length === at ? 0 : fields.length === at + 1 ? seconds(fields[at], 1) : undefined;

/** `l`: timeout [lease]; `sl`: timeout limit [lease]. */
function acquire(kind: Kind, key: string, fields: readonly string[], fixed?: Limit): Request | undefined {
  if (!isKey(key)) return undefined;
  const waitMs = seconds(fields[0], 0);
  const limit = fixed ?? positive(fields[1]);
  const leaseMs = lease(fields, fixed ? 1 : 2);
  if (waitMs === undefined || limit === undefined || leaseMs === undefined) return undefined;
  return { t: 'acquire', kind, key, limit, waitMs, leaseMs };
}

/** `e`: [lease]; `se`: limit [lease]. */
function enqueue(kind: Kind, key: string, fields: readonly string[], fixed?: Limit): Request | undefined {
  if (!isKey(key)) return undefined;
  const limit = fixed ?? positive(fields[0]);
  const leaseMs = lease(fields, fixed ? 0 : 1);
  if (limit === undefined || leaseMs === undefined) return undefined;
  return { t: 'enqueue', kind, key, limit, leaseMs };
}

function wait(kind: Kind, key: string, argument: string): Request | undefined {
  const fields = splitFields(argument);
  const waitMs = fields.length === 1 ? seconds(fields[0], 0) : undefined;
  return isKey(key) && waitMs !== undefined ? { t: 'wait', kind, key, waitMs } : undefined;
}

function renew(kind: Kind, key: string, argument: string): Request | undefined {
  const fields = splitFields(argument);
  const token = fields[0];
  const leaseMs = lease(fields, 1);
  if (!isKey(key) || token === undefined || leaseMs === undefined) return undefined;
  return { t: 'renew', kind, key, token, leaseMs };
}

/** The token is the whole line: inner spaces are kept, so such a token never matches (spec 3). */
function release(kind: Kind, key: string, argument: string): Request | undefined {
  const token = trimBytes(argument);
  return isKey(key) && token !== '' ? { t: 'release', kind, key, token } : undefined;
}

/** The payload is the line verbatim (spec 6.2). */
function signal(channel: string, payload: string): Request | undefined {
  if (!isKey(channel) || !isChannel(channel) || trimBytes(payload) === '') return undefined;
  if ('sig  '.length + channel.length + payload.length > SIGNAL_LINE_CAP) return undefined;
  return { t: 'signal', channel, payload };
}
