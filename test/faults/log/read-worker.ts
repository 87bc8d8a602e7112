import type { Call, Hold, HoldEnd, Span, Violation } from './evidence.js';

interface OpenCall {
  at: number;
  client: number;
  key: string;
  limit: number;
  deadlineAt: number;
  answeredAt: number | undefined;
  outcome: string;
}

interface OpenHold {
  call: OpenCall;
  key: string;
  fence: string;
  at: number;
  /** The last moment at which it looked and the lock was held. */
  affirmedAt: number;
  end: HoldEnd;
  lostAt: number | undefined;
  line: string;
}

/** What one worker process has told. */
export interface WorkerLog {
  readonly holds: Hold[];
  readonly calls: Call[];
  readonly stalls: Span[];
  readonly complaints: Violation[];
  /** Whether it ended by itself. */
  readonly ended: boolean;
}

/**
 * Codes: `i` invoke (call, client, key, limit, deadline), `n` answered without a lock (call, why), `g` granted (call, key,
 * fence), `w` looked, was held, worked (fence), `r` release sent (fence, last look), `d` released (fence, 0 or 1), `l` lost seen
 * (fence, last look, reason), `!` complaint, `s` stall, `f` flushed, `z` the end.
 *
 * When does a hold end? At its release, more exactly at the look right before it; or when its holder is told that it is
 * lost. A process that did not run between its last look and the news believed nothing meanwhile: it could not act, and
 * the first look showed the truth; its hold ends with the last look. A killed process believes until it wrote last.
 *
 * @param firstClient how many clients earlier workers have
 */
export function readWorkerLog(worker: string, text: string, firstClient: number): WorkerLog {
  const calls = new Map<string, OpenCall>();
  const holds = new Map<string, OpenHold>();
  const stalls: Span[] = [];
  const complaints: Violation[] = [];
  let flushedAt = 0;
  let ended = false;
  for (const line of completeLines(text)) {
    const [code, time, a = '', b = '', c = '', d = '', e = ''] = line.split(' ');
    const at = Number(time);
    switch (code) {
      case 'i':
        calls.set(a, {
          ...{ at, client: firstClient + Number(b), key: c, limit: Number(d), deadlineAt: Number(e) },
          ...{ answeredAt: undefined, outcome: 'none' },
        });
        break;
      case 'n':
        Object.assign(calls.get(a)!, { answeredAt: at, outcome: b });
        break;
      case 'g': {
        const call = calls.get(a)!;
        Object.assign(call, { answeredAt: at, outcome: 'granted' });
        holds.set(c, { call, key: b, fence: c, at, affirmedAt: at, end: 'open', lostAt: undefined, line });
        break;
      }
      case 'w':
        // Also after it had read as lost.
        Object.assign(holds.get(a)!, { affirmedAt: at, end: 'open', lostAt: undefined });
        break;
      case 'r':
        Object.assign(holds.get(a)!, {
          affirmedAt: Number(b),
          end: 'released',
          line: `${holds.get(a)!.line} | ${line}`,
        });
        break;
      case 'l':
        Object.assign(holds.get(a)!, {
          ...{ affirmedAt: Number(b), end: 'lost', lostAt: at, line: `${holds.get(a)!.line} | ${line}` },
        });
        break;
      case 's':
        stalls.push({ from: at, to: Number(a) });
        break;
      case 'f':
        flushedAt = at;
        break;
      case 'z':
        ended = true;
        break;
      case '!':
        complaints.push({ check: 'worker', at, text: `${worker}: ${line.slice(line.indexOf(a))}` });
        break;
      default:
        break;
    }
  }
  return {
    holds: [...holds.values()].map((hold) => closeHold(worker, hold, stalls, flushedAt)),
    calls: [...calls.values()].map(({ at, ...call }) => ({ ...call, worker, invokedAt: at, excused: !ended })),
    stalls,
    complaints,
    ended,
  };
}

/** The last line of a killed process may be torn. */
export function completeLines(text: string): string[] {
  const lines = text.split('\n');
  lines.pop();
  return lines;
}

function closeHold(worker: string, open: OpenHold, stalls: readonly Span[], flushedAt: number): Hold {
  const { call, key, fence, at, affirmedAt, end, lostAt, line } = open;
  return {
    ...{ key, fence, worker, end, lostAt, line, limit: call.limit, client: call.client },
    ...{ invokedAt: call.at, grantedAt: at, believedUntil: believedUntil() },
  };

  function believedUntil(): number {
    if (end === 'released') return affirmedAt;
    if (end === 'open') return Math.max(flushedAt, affirmedAt);
    // It got it while it was stopped, in effect, and the first look was the news.
    if (affirmedAt === at && stalls.some(({ from, to }) => from <= at && to >= at)) return -Infinity;
    const slept = stalls.some((span) => span.from < lostAt! && span.to > affirmedAt);
    return slept ? affirmedAt : lostAt!;
  }
}
