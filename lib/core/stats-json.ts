import type { Ms } from '../common/system.js';
import { MAX_SECONDS } from '../protocol/limits.js';
import { quoteBytes as quote } from './json-text.js';
import type { Resource } from './resource.js';
import type { ChannelCount } from './signal-hub.js';

/** The lists of a `stats` reply, in the order of the original (spec 5). */
export const STATS_LISTS = ['locks', 'semaphores', 'idle_locks', 'idle_semaphores', 'signal_channels'] as const;
export type StatsList = (typeof STATS_LISTS)[number];

/** Receives one or more entries of a list as JSON separated by commas, as a byte string. */
export type StatsTaker = (list: StatsList, entries: string) => void;

/** Entries are handed on when they reach this many bytes. */
const HANDED_ON = 64 * 1024;
/** The limits of one portion: a millisecond or two, whatever the keys are. */
const PORTION_BYTES = 64 * 1024;
const PORTION_VISITS = 1024;
/** How many visits pass between two checks of the clock. */
const LOOK_AFTER = 16;

/** Rounded to the nanosecond, the resolution of the original's clock. */
const seconds = (ms: Ms): number => Math.round(Math.max(ms, 0) * 1e6) / 1e9;

/** A lock or a semaphore of limit 1: only the limit counts (spec 5). Without a holder, owner and lease are 0. */
function heldLock(res: Resource, now: Ms): string {
  const [hold] = res.holders;
  // An infinite lease, which only a user of the engine in this process can have, is shown as the longest on the wire.
  const lease = hold ? Math.min(seconds(hold.due - now), MAX_SECONDS) : 0;
  return `{"key":${quote(res.key)},"owner_conn_id":${hold?.session.id ?? 0},"lease_expires_in_s":${lease},"waiters":${res.queue.size}}`;
}

const heldSemaphore = (res: Resource): string =>
  `{"key":${quote(res.key)},"limit":${res.limit},"holders":${res.holders.size},"waiters":${res.queue.size}}`;

const idle = (res: Resource, now: Ms): string => `{"key":${quote(res.key)},"idle_s":${seconds(now - res.idleSince!)}}`;

const channel = (c: ChannelCount): string =>
  `{"pattern":${quote(c.pattern)},${c.group === '' ? '' : `"group":${quote(c.group)},`}"listeners":${c.listeners}}`;

/**
 * Walks in portions through everything that `stats` lists, so that nobody waits while a million keys are written. What
 * changes meanwhile is listed as it is when the walk reaches it, or not at all; nothing is listed twice.
 */
export class StatsWalk {
  private readonly entries: Record<StatsList, string> = {
    locks: '',
    semaphores: '',
    idle_locks: '',
    idle_semaphores: '',
    signal_channels: '',
  };
  private written = 0;
  private resourcesLeft = true;

  /**
   * @param resources yields undefined for one created after the walk began
   * @param channels the same, for channels
   */
  constructor(
    private readonly resources: Iterator<Resource | undefined>,
    private readonly channels: Iterator<ChannelCount | undefined>,
    private readonly take: StatsTaker,
  ) {}

  /**
   * Continues for one portion.
   * @param isOver whether the caller's time is up
   * @returns whether everything has been handed on
   */
  proceed(now: Ms, isOver: () => boolean): boolean {
    const end = this.written + PORTION_BYTES;
    for (let visits = 1; this.visit(now); visits++) {
      if (this.written >= end || visits >= PORTION_VISITS || (visits % LOOK_AFTER === 0 && isOver())) return false;
    }
    for (const list of STATS_LISTS) this.handOn(list);
    return true;
  }

  private visit(now: Ms): boolean {
    if (this.resourcesLeft) {
      const { done, value: res } = this.resources.next();
      if (!done) {
        if (res) this.visitResource(res, now);
        return true;
      }
      this.resourcesLeft = false;
    }
    const { done, value: counted } = this.channels.next();
    if (counted) this.add('signal_channels', channel(counted));
    return !done;
  }

  private visitResource(res: Resource, now: Ms): void {
    const isLock = res.limit === 1;
    if (res.idleSince !== undefined) this.add(isLock ? 'idle_locks' : 'idle_semaphores', idle(res, now));
    else if (isLock) this.add('locks', heldLock(res, now));
    else this.add('semaphores', heldSemaphore(res));
  }

  private add(list: StatsList, entry: string): void {
    this.written += entry.length;
    const { entries } = this;
    entries[list] = entries[list] === '' ? entry : `${entries[list]},${entry}`;
    if (entries[list].length >= HANDED_ON) this.handOn(list);
  }

  private handOn(list: StatsList): void {
    const entries = this.entries[list];
    this.entries[list] = '';
    if (entries !== '') this.take(list, entries);
  }
}

/** The object of a `stats` reply as a byte string, built at once: for few keys. */
export function statsJson(connections: number, walkWith: (take: StatsTaker) => StatsWalk, now: Ms): string {
  const told = new Map<StatsList, string>();
  const walk = walkWith((list, entries) => told.set(list, told.has(list) ? `${told.get(list)},${entries}` : entries));
  while (!walk.proceed(now, () => false));
  return `{"connections":${connections},${STATS_LISTS.map((list) => `"${list}":[${told.get(list) ?? ''}]`).join()}}`;
}
