import { type Call, type Evidence, type Hold, type Span, stalledWithin, type Violation } from '../log/evidence.js';
import { millis } from '../log/time.js';
import { groupBy } from './fates.js';
import { ALLOWED } from './limits.js';

/**
 * What is free is given to who waits: no caller waits for more than a second for a key that nobody holds; and for as long as
 * the server keeps what a silent client holds, for each other client that may have died while it held the key, or in the queue
 * before him. The time in which the caller's own client suffered a fault, or some process did not run, does not count.
 */
export function checkIdle(evidence: Evidence): Violation[] {
  if (!evidence.idle) return [];
  const holds = groupBy(evidence.holds, ({ key }) => key);
  const collected = new Set(evidence.calls.filter(({ key }) => key.includes('+')).flatMap(({ key }) => key.split('+')));
  const waits = evidence.calls.filter(({ key }) => !key.includes('+') && !collected.has(key));
  return [...groupBy(waits, ({ key, client }) => `${key} ${client}`).values()].flatMap((calls) =>
    gaps(calls, holds.get(calls[0]!.key) ?? []).flatMap((gap) => judge(evidence, calls[0]!, gap)),
  );
}

/** Where at least one of the calls waits, and nobody holds. */
function gaps(calls: readonly Call[], holds: readonly Hold[]): Span[] {
  const waiting = union(calls.map(({ invokedAt, answeredAt }) => ({ from: invokedAt, to: answeredAt ?? invokedAt })));
  const held = union(holds.map(({ grantedAt, believedUntil }) => ({ from: grantedAt, to: believedUntil })));
  const found: Span[] = [];
  let next = 0;
  for (const { from, to } of waiting) {
    let free = from;
    while (next > 0 && held[next - 1]!.to > from) next--;
    for (; next < held.length && held[next]!.from < to; next++) {
      if (held[next]!.from > free) found.push({ from: free, to: held[next]!.from });
      free = Math.max(free, held[next]!.to);
    }
    if (free < to) found.push({ from: free, to });
  }
  return found;
}

function union(spans: readonly Span[]): Span[] {
  const whole: { from: number; to: number }[] = [];
  for (const { from, to } of spans.filter((span) => span.to > span.from).sort((a, b) => a.from - b.from)) {
    const last = whole.at(-1);
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else whole.push({ from, to });
  }
  return whole;
}

function judge({ idle, stalls }: Evidence, { key, client, worker }: Call, { from, to }: Span): Violation[] {
  const { silenceNs, disturbances } = idle!;
  if (to - from <= ALLOWED.idleNs) return [];
  const near = disturbances.filter((one) => one.to > from - silenceNs && one.from < to);
  const own = near.filter((one) => (one.client ?? client) === client);
  const others = new Set(near.flatMap((one) => (one.client === client ? [] : [one.client])));
  const excused = stalledWithin([...own, ...[...stalls.values()].flat()], from, to);
  const idleNs = to - from - excused;
  if (idleNs <= ALLOWED.idleNs + others.size * silenceNs) return [];
  const text = `${worker}/${client}: waited ${millis(idleNs).toFixed(0)} ms for ${key}, which nobody held`;
  return [{ check: 'idle', at: to, text }];
}
