/**
 * The only place in lib that touches the machine's clocks, timers and randomness. Everything else has them passed in,
 * so that it can run on virtual time (lint enforces this).
 */
import { randomFillSync } from 'node:crypto';
import { uptime } from 'node:os';
import { type IntervalHistogram, monitorEventLoopDelay, performance as hostPerformance } from 'node:perf_hooks';
import * as nodeTimers from 'node:timers';

/** Milliseconds. Points in time are those of a monotonic clock unless said otherwise. */
export type Ms = number;

/** Opaque; returned by `Clock.setTimer`. */
export type Timer = object;

export interface Clock {
  /** Monotonic, never decreasing, with a fraction. */
  now(): Ms;
  /** Runs `fn` once after `delay`. Does not keep the process alive unless `keepAlive`. */
  setTimer(fn: () => void, delay: Ms, keepAlive?: boolean): Timer;
  clearTimer(timer: Timer): void;
  /**
   * Runs `fn` after the host has polled its sockets once more. By then, everything that arrived before the call has
   * been read. Use it to look once more before a deadline ends something.
   */
  afterPoll(fn: () => void): void;
  /** Runs `fn` at the end of this turn of the event loop: after the input found by this poll, before the next poll. */
  endOfTurn(fn: () => void): void;
  /** Milliseconds since the machine booted, time in suspension included. */
  uptime(): Ms;
  /** Milliseconds since the epoch; may jump. For display and for seeding fences only. */
  wall(): Ms;
}

export interface Entropy {
  /** Fills the array with unpredictable bytes. */
  fill(bytes: Uint8Array): void;
  /** Evenly distributed in [0, 1); for jitter. */
  unit(): number;
}

/** Node's timers overflow above this and fire at once. */
export const LONGEST_TIMER: Ms = 2 ** 31 - 1;

/** What a fake function of @sinonjs/fake-timers has replaced; jest, vitest and sinon build on that library. */
function original<F>(name: string, fn: F): F {
  const { clock } = fn as { clock?: Readonly<Record<string, unknown>> };
  return (clock?.[`_${name}`] as F | undefined) ?? fn;
}

/**
 * The queues of the event loop as they were when this module was loaded. Test frameworks replace them together with the
 * timers, and a client whose turns came only when a test advanced time would send nothing.
 */
const turn = original('setImmediate', nodeTimers.setImmediate);

/** Runs `fn` after the microtasks queued so far. If it throws, the exception is uncaught. */
export const microtask: (fn: () => void) => void = original('queueMicrotask', queueMicrotask);

/** Runs `fn` after all microtasks, including those that they queue. */
export const afterMicrotasks: (fn: () => void) => void = original('nextTick', Reflect.get(process, 'nextTick'));

/** The sources of an uptime reading. */
export interface UptimeSources {
  /** Costs about 2 µs: it reads a file. */
  readonly read: () => Ms;
  readonly now: () => Ms;
  readonly wall: () => Ms;
}

/** How long a reading is used. */
const UPTIME_FRESH_MS: Ms = 1000;
/** After a sleep the wall clock is ahead of the monotonic one. Well below anything that counts as a sleep. */
const UPTIME_PARTED_MS: Ms = 100;

/** The uptime, read again once the wall clock has parted from the monotonic one, or after a second. */
export function frugalUptime({ read, now, wall }: UptimeSources): () => Ms {
  let at = -Infinity;
  let lead = 0;
  let uptimeThen: Ms = 0;
  return () => {
    const time = now();
    const leadNow = wall() - time;
    if (time - at > UPTIME_FRESH_MS || Math.abs(leadNow - lead) > UPTIME_PARTED_MS) {
      at = time;
      lead = leadNow;
      uptimeThen = read();
    }
    return uptimeThen + (time - at);
  };
}

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer(fn, delay, keepAlive = false) {
    // Node truncates fractions and counts from the last whole millisecond. Without the extra millisecond timers would
    // fire early, and their owners would have to arm them again.
    const whole = delay > 0 ? Math.ceil(delay) + 1 : 0;
    const timer = setTimeout(fn, Math.min(whole, LONGEST_TIMER));
    return keepAlive ? timer : timer.unref();
  },
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout),
  // If a socket handler calls this, the first of the two still belongs to the poll in progress.
  afterPoll: (fn) => void turn(() => turn(fn)),
  endOfTurn: (fn) => void turn(fn),
  uptime: frugalUptime({ read: () => uptime() * 1000, now: () => performance.now(), wall: () => Date.now() }),
  wall: () => Date.now(),
};

export const systemEntropy: Entropy = {
  fill: (bytes) => void randomFillSync(bytes),
  unit: () => Math.random(),
};

/** How often the event loop is looked at. */
const LOOK_MS: Ms = 10;

/** How late the event loop is. It is watched from the first question on, which costs a hundred timers a second. */
export class LoopDelay {
  private histogram: IntervalHistogram | undefined;

  /** What 99 of 100 looks since the last question were not later than; 0 if there were none. */
  p99(): Ms {
    const { histogram } = this;
    if (histogram) {
      const delay = histogram.count > 0 ? histogram.percentile(99) / 1e6 - LOOK_MS : 0;
      histogram.reset();
      return Math.max(0, delay);
    }
    this.histogram = monitorEventLoopDelay({ resolution: LOOK_MS });
    this.histogram.enable();
    return 0;
  }

  stop(): void {
    this.histogram?.disable();
    this.histogram = undefined;
  }
}

/** Resolves after one turn of the event loop, even if a test framework has stopped the timers. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void turn(resolve));

/** The timers that the process has at the moment, and the time by which they fire. */
export interface HostTimers {
  /** Whether a test decides when they fire. */
  readonly isFake: boolean;
  /** What `now` was when these timers came into use, as far as is known. */
  readonly origin: Ms;
  /** Whether `Date` follows the same time. */
  readonly movesDate: boolean;
  /** Whole milliseconds. */
  now(): Ms;
  setTimeout(fn: () => void, delay: Ms): unknown;
  clearTimeout(handle: unknown): void;
  /** False while timers are run one by one until none is left, as `runAllTimers` does. */
  isAdvancing(): boolean;
}

/** What lib uses of the clock of @sinonjs/fake-timers, on which the fake timers of jest and vitest are built. */
interface SinonClock {
  setTimeout(fn: () => void, delay: Ms): unknown;
  clearTimeout(handle: unknown): void;
  /** Since it was installed. */
  hrtime(): [seconds: number, nanoseconds: number];
  readonly duringTick?: boolean;
}

const isSinonClock = (value: unknown): value is SinonClock =>
  typeof value === 'object' && value !== null && 'hrtime' in value && 'setTimeout' in value;

/** The fake clock that replaced one of these host functions. */
function sinonClockOf(...functions: unknown[]): SinonClock | undefined {
  return functions.map((fn) => (fn as { clock?: unknown } | undefined)?.clock).find(isSinonClock);
}

const originals = {
  setTimeout: original('setTimeout', setTimeout),
  clearTimeout: original('clearTimeout', clearTimeout),
  Date: original('Date', Date),
};
/** Node's own timers, and those of the environment that a test runner created. */
const REAL: readonly unknown[] = [
  original('setTimeout', nodeTimers.setTimeout),
  original('clearTimeout', nodeTimers.clearTimeout),
  originals.setTimeout,
  originals.clearTimeout,
];

/** From the prototype: fakes replace it on the object itself. */
const realNow = Reflect.get(Object.getPrototypeOf(hostPerformance) as object, 'now') as () => Ms;

const realTimers: HostTimers = {
  isFake: false,
  origin: 0,
  movesDate: true,
  now: () => Math.floor(realNow.call(hostPerformance)),
  setTimeout: originals.setTimeout,
  clearTimeout: (handle) => originals.clearTimeout(handle as NodeJS.Timeout),
  isAdvancing: () => true,
};

/** The timers of jest, vitest and sinon, whichever of `Date`, `performance` and `process.hrtime` they replace. */
function sinonTimers(clock: SinonClock): HostTimers {
  return {
    isFake: true,
    origin: 0,
    get movesDate() {
      return sinonClockOf(Date) === clock;
    },
    now() {
      const [seconds, nanoseconds] = clock.hrtime();
      return Math.floor(seconds * 1000 + nanoseconds / 1e6);
    },
    setTimeout: (fn, delay) => clock.setTimeout(fn, delay),
    clearTimeout: (handle) => clock.clearTimeout(handle),
    isAdvancing: () => clock.duringTick === true,
  };
}

/** The timers of node:test, which show when they are due, and any others, which are trusted when they fire. */
function otherTimers(): HostTimers {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const movesDate = Date !== originals.Date;
  const now = (): Ms => {
    const probe: NodeJS.Timeout & { runAt?: unknown } = set(() => undefined, 0);
    clear(probe);
    if (typeof probe?.runAt === 'number') return Math.floor(probe.runAt);
    return movesDate ? Date.now() : 0;
  };
  return {
    isFake: true,
    origin: now(),
    movesDate,
    now,
    setTimeout: set,
    clearTimeout: (handle) => clear(handle as NodeJS.Timeout),
    isAdvancing: () => true,
  };
}

/** A test that only spies on one of the two has not replaced the timers. */
const areReal = (): boolean => REAL.includes(setTimeout) || REAL.includes(clearTimeout);

/** The current timers, and the functions that they were recognised by. */
let recognised: { readonly by: readonly unknown[]; readonly timers: HostTimers } | undefined;

/** The current timers: always the same object until they are replaced. */
export function hostTimers(): HostTimers {
  const clock = sinonClockOf(setTimeout, clearTimeout);
  const by = clock ? [clock] : areReal() ? [] : [setTimeout, clearTimeout, Date];
  if (recognised?.by.length !== by.length || by.some((part, i) => part !== recognised!.by[i])) {
    recognised = { by, timers: clock ? sinonTimers(clock) : by.length === 0 ? realTimers : otherTimers() };
  }
  return recognised.timers;
}
