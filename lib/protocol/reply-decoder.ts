import { REPLY_LINE_CAP } from './limits.js';
import type { PlainStatus, Push, Reply, Request } from './messages.js';
import { STATUS_BY_WORD } from './status.js';

const INTEGER = /^[0-9]+$/;

/** What has no fields, made once. */
const OK: Reply = Object.freeze({ s: 'ok' });

/**
 * A lease on the wire, from `at` to the end of the line, in milliseconds; undefined for anything but a whole number of
 * seconds above zero.
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
 * The meaning of one reply line (LF removed) to a request of kind `to`. Unknown words, and fields that make no sense,
 * are undefined: a violation of the protocol.
 */
export function parseReply(line: string, to: Request['t']): Reply | undefined {
  // Almost every reply, without a look into the table.
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

/** Bare words that answer some requests only; errors answer all. */
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

/** Token and lease, both always there (spec 3): an answer out of turn must not be taken for a lock. */
function grant(s: 'granted' | 'acquired', rest: string): Reply | undefined {
  const space = rest.indexOf(' ');
  const leaseMs = space > 0 ? leaseOf(rest, space + 1) : undefined;
  return leaseMs === undefined ? undefined : { s, token: rest.slice(0, space), leaseMs };
}

/** `sig <channel> <payload>` (spec 6.2), undefined if the line is no push or has no payload. */
export function parsePush(line: string): Push | undefined {
  if (!line.startsWith('sig ')) return undefined;
  const space = line.indexOf(' ', 4);
  return space < 0 ? undefined : { channel: line.slice(4, space), payload: line.slice(space + 1) };
}

/**
 * The client's side of the framing: lines from byte strings split anywhere. `onLine` gets each line without LF and
 * trailing CR.
 */
export class LineDecoder {
  private partial = '';

  /** @param cap most bytes of a line; @param onLine must not throw */
  constructor(
    private readonly onLine: (line: string) => void,
    private readonly cap = REPLY_LINE_CAP,
  ) {}

  /** False when a line has grown over the cap: the connection is of no more use. */
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
