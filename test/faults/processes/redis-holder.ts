/**
 * Holds one lock in Redis with each of its clients, and watches closely what its holders are told. Arguments: options as
 * JSON, the places of its clients as JSON.
 */
import { STALL_NS, type Span } from '../log/evidence.js';
import { nanos } from '../log/time.js';
import type { Contestant, Held, Holder, Place } from '../redis/holders/holder.js';
import { serve } from './serve.js';

export interface RedisHolderOptions {
  readonly contestant: Contestant;
  /** Locks are called `prefix0`, `prefix1`, … */
  readonly prefix: string;
  readonly leaseMs: number;
}

/** What a holder knew, in nanoseconds. */
export interface Belief {
  readonly key: string;
  /** Decimal digits; '' where the package has none. */
  readonly fence: string;
  /** When it read last that it holds the lock. */
  readonly affirmedAt: number;
  /** When it was told, or read, that its lock is lost; undefined: it still believes. */
  readonly toldAt?: number | undefined;
  /** When its client was connected last. */
  readonly connectedAt?: number | undefined;
  /** What it read first after the process had stood still; undefined: it has not. */
  readonly firstRead?: boolean | undefined;
}

/** What a process knew, and when it did not run. */
export interface Account {
  readonly beliefs: readonly Belief[];
  readonly stalls: readonly Span[];
}

const [optionsText, placesText] = process.argv.slice(2) as [string, string];
const { contestant, prefix, leaseMs } = JSON.parse(optionsText) as RedisHolderOptions;
const places = JSON.parse(placesText) as Place[];

const LOOK_EVERY_MS = 2;
/** So long nothing of this process ran because it was stopped. */
const GAP_NS = 1000e6;
/** Renewals of locks that were taken at once would come at once. */
const APART_MS = 10;

async function connect(place: Place): Promise<Holder> {
  switch (contestant) {
    case 'ours':
    case 'watch':
      return (await import('../redis/holders/ours.js')).holder(place, leaseMs, contestant === 'watch');
    case 'redis-semaphore':
      return (await import('../redis/holders/redis-semaphore.js')).holder(place, leaseMs);
    case 'redlock':
      return (await import('../redis/holders/redlock.js')).holder(place, leaseMs);
  }
}

interface Holding {
  readonly holder: Holder;
  readonly key: string;
  readonly held: Held;
  affirmedAt: number;
  toldAt: number | undefined;
  firstRead: boolean | undefined;
}

const holders = await Promise.all(places.map(connect));
const holdings: Holding[] = [];

async function hold(): Promise<void> {
  const taken = holders.map(async (holder, index) => {
    await new Promise((resolve) => setTimeout(resolve, index * APART_MS));
    const key = `${prefix}${index}`;
    const held = await holder.hold(key);
    const holding: Holding = { holder, key, held, affirmedAt: nanos(), toldAt: undefined, firstRead: undefined };
    held.onLost(() => (holding.toldAt ??= nanos()));
    holdings.push(holding);
  });
  await Promise.all(taken);
}

const stalls: Span[] = [];
let lookedAt = nanos();
setInterval(() => {
  const now = nanos();
  const stoodStill = now - lookedAt > GAP_NS;
  if (now - lookedAt > STALL_NS) stalls.push({ from: lookedAt, to: now });
  lookedAt = now;
  for (const holding of holdings) {
    const at = nanos();
    const believes = holding.held.believes();
    if (stoodStill) holding.firstRead ??= believes;
    if (believes && holding.toldAt === undefined) holding.affirmedAt = at;
    if (!believes) holding.toldAt ??= nanos();
  }
}, LOOK_EVERY_MS);

process.on('unhandledRejection', (error) => {
  // The packages that are compared have some.
  if (contestant === 'ours' || contestant === 'watch') throw error;
});

serve({
  hold,
  block: (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
  account: (): Account => ({
    beliefs: holdings.map(({ held, holder, ...belief }) => ({
      ...{ ...belief, fence: `${held.fence ?? ''}`, connectedAt: holder.connectedAt?.() },
    })),
    stalls,
  }),
  finish: async () => {
    await Promise.all(holders.map((holder) => holder.close()));
  },
});
