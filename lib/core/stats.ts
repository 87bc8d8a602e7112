import type { Ms } from '../common/system.js';
import { MAX_SECONDS } from '../protocol/limits.js';
import { quoteBytes as quote } from './json-text.js';
import type { Resource } from './resource.js';
import type { SignalHub } from './signal-hub.js';

/** To the nanosecond, as the original's clock counts. */
const seconds = (ms: Ms): number => Math.round(Math.max(ms, 0) * 1e6) / 1e9;

/** A lock, or a semaphore of limit 1: classified by limit alone (spec 5). Without holder: owner 0, lease 0. */
function heldLock(res: Resource, now: Ms): string {
  const [hold] = res.holders;
  // A lease without end, which only a user of the engine in this process can have, is the longest the wire knows.
  const lease = hold ? Math.min(seconds(hold.due - now), MAX_SECONDS) : 0;
  return `{"key":${quote(res.key)},"owner_conn_id":${hold?.session.id ?? 0},"lease_expires_in_s":${lease},"waiters":${res.queue.size}}`;
}

const heldSemaphore = (res: Resource): string =>
  `{"key":${quote(res.key)},"limit":${res.limit},"holders":${res.holders.size},"waiters":${res.queue.size}}`;

const idle = (res: Resource, now: Ms): string => `{"key":${quote(res.key)},"idle_s":${seconds(now - res.idleSince!)}}`;

const channel = (c: { pattern: string; group: string; listeners: number }): string =>
  `{"pattern":${quote(c.pattern)},${c.group === '' ? '' : `"group":${quote(c.group)},`}"listeners":${c.listeners}}`;

/** The object of a `stats` reply as a byte string, members in the order of the original (spec 5). */
export function statsJson(connections: number, resources: Iterable<Resource>, signals: SignalHub, now: Ms): string {
  const locks: string[] = [];
  const semaphores: string[] = [];
  const idleLocks: string[] = [];
  const idleSemaphores: string[] = [];
  for (const res of resources) {
    const isLock = res.limit === 1;
    if (res.idleSince !== undefined) (isLock ? idleLocks : idleSemaphores).push(idle(res, now));
    else if (isLock) locks.push(heldLock(res, now));
    else semaphores.push(heldSemaphore(res));
  }
  const channels = [...signals.counts()].map(channel);
  return (
    `{"connections":${connections},"locks":[${locks.join()}],"semaphores":[${semaphores.join()}],` +
    `"idle_locks":[${idleLocks.join()}],"idle_semaphores":[${idleSemaphores.join()}],"signal_channels":[${channels.join()}]}`
  );
}
