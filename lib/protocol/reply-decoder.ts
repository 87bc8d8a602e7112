import { REPLY_LINE_CAP } from './limits.js';
import type { PlainStatus, Push, Reply, Request } from './messages.js';
import { STATUS_BY_WORD } from './status.js';

const INTEGER = /^[0-9]+$/;

/** Has no fields, so one object serves all. */
const OK: Reply = Object.freeze({ s: 'ok' });

/**
 * The lease between `at` and the end of the line, in milliseconds; undefined for anything but a positive whole number
 * of seconds.
 */
function leaseOf(line: string, at: number): number | undefined {
  let seconds = 0;
  for (let i = at; i < line.length; i++) {
    const digit = line.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    seconds = seconds * 10 + digit;
  }
  return seconds > 0 ? seconds * 1000 : undefined;
}

/**
 * Parses one reply line (without LF) to a request of kind `to`. Returns undefined for unknown words and malformed
 * fields, which violate the protocol.
 */
export function parseReply(line: string, to: Request['t']): Reply | undefined {
  // Almost all replies, without a table lookup.
  if (line.startsWith('ok ')) return okWithFields(line.slice(3), to);
  if (line === 'ok' && to === 'release') return OK;
  const plain = STATUS_BY_WORD.get(line);
  if (plain !== undefined && (ONLY_TO[plain]?.has(to) ?? true)) return { s: plain };
  const space = line.indexOf(' ');
  const word = space < 0 ? line : line.slice(0, space);
  const rest = space < 0 ? '' : line.slice(space + 1);
  if (word === 'error_not_leader') return { s: 'not_leader', leader: rest };
  // Unknown words that begin with `error` are failures (spec 3.1).
  if (word.startsWith('error')) return { s: STATUS_BY_WORD.get(word) ?? 'error' };
  if (word === 'acquired' && to === 'enqueue') return grant('acquired', rest);
  return undefined;
}

/** Words without fields that answer only some requests; errors answer all. */
const ONLY_TO: Partial<Record<PlainStatus, ReadonlySet<Request['t']>>> = {
  ok: new Set<Request['t']>(['auth', 'ping', 'release', 'listen', 'unlisten']),
  queued: new Set<Request['t']>(['enqueue']),
  timeout: new Set<Request['t']>(['acquire', 'wait']),
};

function okWithFields(rest: string, to: Request['t']): Reply | undefined {
  switch (to) {
    case 'acquire':
    case 'wait':
      return grant('granted', rest);
    case 'renew':
      return renewed(rest);
    case 'signal':
      return INTEGER.test(rest) ? { s: 'delivered', count: Number(rest) } : undefined;
    case 'stats':
      return rest === '' ? undefined : { s: 'stats', json: rest };
    case 'enqueue':
      return undefined;
    default:
      return OK;
  }
}

function renewed(rest: string): Reply | undefined {
  const leaseMs = leaseOf(rest, 0);
  return leaseMs === undefined ? undefined : { s: 'renewed', leaseMs };
}

/** Both token and lease are required (spec 3), so that a reply to another request is never taken for a grant. */
function grant(s: 'granted' | 'acquired', rest: string): Reply | undefined {
  const space = rest.indexOf(' ');
  const leaseMs = space > 0 ? leaseOf(rest, space + 1) : undefined;
  return leaseMs === undefined ? undefined : { s, token: rest.slice(0, space), leaseMs };
}

/** Parses `sig <channel> <payload>` (spec 6.2); undefined if the line is not a push or has no payload. */
export function parsePush(line: string): Push | undefined {
  if (!line.startsWith('sig ')) return undefined;
  const space = line.indexOf(' ', 4);
  return space < 0 ? undefined : { channel: line.slice(4, space), payload: line.slice(space + 1) };
}

/**
 * The client side of the framing: splits byte strings that arrive in arbitrary chunks into lines. `onLine` gets each
 * line without LF and trailing CR.
 */
export class LineDecoder {
  private partial = '';

  /** @param cap most bytes of a line; @param onLine must not throw */
  constructor(
    private readonly onLine: (line: string) => void,
    private readonly cap = REPLY_LINE_CAP,
  ) {}

  /** Returns false when a line exceeds the cap: the connection is then unusable. */
  push(text: string): boolean {
    let at = 0;
    for (;;) {
      const end = text.indexOf('\n', at);
      if (end < 0) break;
      const line = this.partial === '' ? text.slice(at, end) : this.partial + text.slice(at, end);
      this.partial = '';
      if (line.length > this.cap) return false;
      this.onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
      at = end + 1;
    }
    if (at < text.length) this.partial += text.slice(at);
    return this.partial.length <= this.cap;
  }
}
