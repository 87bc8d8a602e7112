import type { DaemonLife, FreeCause, Grant, QueueEvent, Span } from './evidence.js';
import { completeLines } from './read-worker.js';
import { fromMillis } from './time.js';

/** What the log of a daemon does not say. */
export interface DaemonFate {
  readonly sweepMs: number;
  /** When SIGKILL was sent. */
  readonly killedAt?: number | undefined;
  /** When the system had taken it away, and ended its connections with it: on a busy machine tens of ms later. */
  readonly goneAt?: number | undefined;
  readonly drainedAt?: number | undefined;
}

type Open = { -readonly [K in keyof Grant]: Grant[K] };

const CAUSES: Readonly<Record<string, FreeCause>> = { r: 'released', e: 'expired', c: 'closed' };

/**
 * Codes: `G` granted (key, fence, session, place, limit, lease in ms), `F` freed (fence, cause), `Q` took a place (place, key), `L` left
 * it (place, key), `X` extended by another lease (fence, lease in ms), `s` stall, `f` flushed, `z` the end.
 */
export function readDaemonLog(
  text: string,
  { sweepMs, killedAt, goneAt = killedAt, drainedAt }: DaemonFate,
): DaemonLife {
  const grants = new Map<string, Open>();
  const queue: QueueEvent[] = [];
  const stalls: Span[] = [];
  let completeUntil = 0;
  for (const line of completeLines(text)) {
    const [code, time, a = '', b = '', c = '', d = '', e = '', f = ''] = line.split(' ');
    const at = Number(time);
    switch (code) {
      case 'G':
        grants.set(b, {
          ...{ key: a, fence: b, session: Number(c), place: Number(d), limit: Number(e), grantedAt: at },
          ...{ leaseNs: fromMillis(Number(f)), freedAt: undefined, cause: undefined },
        });
        queue.push({ type: 'granted', at, key: a, place: Number(d) });
        break;
      case 'F': {
        const grant = grants.get(a)!;
        grant.freedAt = at;
        grant.cause = CAUSES[b];
        break;
      }
      case 'X': {
        const grant = grants.get(a)!;
        grant.leaseNs = Math.max(grant.leaseNs, fromMillis(Number(b)));
        break;
      }
      case 'Q':
        queue.push({ type: 'queued', at, key: b, place: Number(a) });
        break;
      case 'L':
        queue.push({ type: 'left', at, key: b, place: Number(a) });
        break;
      case 's':
        stalls.push({ from: at, to: Number(a) });
        break;
      case 'f':
        completeUntil = at;
        break;
      default:
        break;
    }
  }
  const sweepNs = fromMillis(sweepMs);
  if (killedAt !== undefined) stalls.push({ from: killedAt, to: goneAt! });
  return { grants: [...grants.values()], queue, killedAt, drainedAt, completeUntil, stalls, sweepNs };
}
