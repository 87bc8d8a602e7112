/**
 * The one place where lib touches the machine's clocks, timers and randomness. Everything else has them passed in,
 * so that it can be run on virtual time (the lint rules keep it so).
 */
import { randomFillSync } from 'node:crypto';
import { uptime } from 'node:os';
import { performance as hostPerformance } from 'node:perf_hooks';
import * as nodeTimers from 'node:timers';

/** Milliseconds. Points in time are those of a monotonic clock unless said otherwise. */
export type Ms = number;

/** Opaque; made by `Clock.setTimer`. */
export type Timer = object;

export interface Clock {
  /** Monotonic, never decreasing, with a fraction. */
  now(): Ms;
  /** Runs `fn` once after `delay`. Does not keep the process alive unless `keepAlive`. */
  setTimer(fn: () => void, delay: Ms, keepAlive?: boolean): Timer;
  clearTimer(timer: Timer): void;
  /**
   * Runs `fn` after the host has polled its sockets once more. What arrived before the call has been read by then:
   * the way to look again before a deadline destroys something.
   */
  afterPoll(fn: () => void): void;
  /** Runs `fn` when what the host has found to be read has been read, before it waits for more. */
  endOfTurn(fn: () => void): void;
  /** Milliseconds of the machine's life, suspended time included. */
  uptime(): Ms;
  /** Milliseconds since the epoch; may jump. For display and for seeding fences only. */
  wall(): Ms;
}

export interface Entropy {
  /** Fills with bytes nobody can guess. */
  fill(bytes: Uint8Array): void;
  /** Evenly distributed in [0, 1); for jitter. */
  unit(): number;
}

/** Node's timers overflow above this and would fire at once. */
export const LONGEST_TIMER: Ms = 2 ** 31 - 1;

/** What a fake function of @sinonjs/fake-timers, on which jest, vitest and sinon build, has replaced. */
function original<F>(name: string, fn: F): F {
  const { clock } = fn as { clock?: Readonly<Record<string, unknown>> };
  return (clock?.[`_${name}`] as F | undefined) ?? fn;
}

/**
 * The queues of the event loop as they were when this module was loaded. Test frameworks replace them together with the
 * timers; a client whose turns come only when a test advances time would send nothing.
 */
const turn = original('setImmediate', nodeTimers.setImmediate);

/** Runs `fn` after the microtasks that are queued. What it throws is an uncaught exception. */
export const microtask: (fn: () => void) => void = original('queueMicrotask', queueMicrotask);

/** Runs `fn` after all microtasks, those that they queue included. */
export const afterMicrotasks: (fn: () => void) => void = original('nextTick', Reflect.get(process, 'nextTick'));

/** What a reading of the uptime rests on. */
export interface UptimeSources {
  /** Costs about 2 µs: it reads a file. */
  readonly read: () => Ms;
  readonly now: () => Ms;
  readonly wall: () => Ms;
}

/** A reading is used for so long. */
const UPTIME_FRESH_MS: Ms = 1000;
/** Whoever sleeps wakes with a wall clock that is ahead. Well below what counts as a sleep anywhere. */
const UPTIME_PARTED_MS: Ms = 100;

/** The uptime, read again when the wall clock has parted from the monotonic one, or a second has passed. */
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
    // Node truncates fractions, and counts from the whole millisecond that has passed last: without one more, timers
    // would fire early, and their owners would have to arm them again.
    const whole = delay > 0 ? Math.ceil(delay) + 1 : 0;
    const timer = setTimeout(fn, Math.min(whole, LONGEST_TIMER));
    return keepAlive ? timer : timer.unref();
  },
  clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout),
  // Asked from the handler of a socket, the first of the two still belongs to the poll that is under way.
  afterPoll: (fn) => void turn(() => turn(fn)),
  endOfTurn: (fn) => void turn(fn),
  uptime: frugalUptime({ read: () => uptime() * 1000, now: () => performance.now(), wall: () => Date.now() }),
  wall: () => Date.now(),
};

export const systemEntropy: Entropy = {
  fill: (bytes) => void randomFillSync(bytes),
  unit: () => Math.random(),
};

/** One turn of the event loop, also where a test framework has stopped the timers. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void turn(resolve));

/** The timers that the process has at this moment, and the time by which they fire. */
export interface HostTimers {
  /** Whether they fire when a test says so. */
  readonly isFake: boolean;
  /** What `now` was when these timers came into use, as far as that is known. */
  readonly origin: Ms;
  /** Whether `Date` follows the same time. */
  readonly movesDate: boolean;
  /** Whole milliseconds. */
  now(): Ms;
  setTimeout(fn: () => void, delay: Ms): unknown;
  clearTimeout(handle: unknown): void;
  /** False if timers are being run one by one, as `runAllTimers` does, for as long as there are any. */
  isAdvancing(): boolean;
}

/** What lib needs to know of the clock of @sinonjs/fake-timers, on which the fake timers of jest and vitest are built. */
interface SinonClock {
  setTimeout(fn: () => void, delay: Ms): unknown;
  clearTimeout(handle: unknown): void;
  /** Since it was installed. */
  hrtime(): [seconds: number, nanoseconds: number];
  readonly duringTick?: boolean;
}

const isSinonClock = (value: unknown): value is SinonClock =>
  typeof value === 'object' && value !== null && 'hrtime' in value && 'setTimeout' in value;

/** The clock that a faked function of the host belongs to. */
function sinonClockOf(...functions: unknown[]): SinonClock | undefined {
  return functions.map((fn) => (fn as { clock?: unknown } | undefined)?.clock).find(isSinonClock);
}

const originals = {
  setTimeout: original('setTimeout', setTimeout),
  clearTimeout: original('clearTimeout', clearTimeout),
  Date: original('Date', Date),
};
/** Node's own and those of the environment that a test runner has made. */
const REAL: readonly unknown[] = [
  original('setTimeout', nodeTimers.setTimeout),
  original('clearTimeout', nodeTimers.clearTimeout),
  originals.setTimeout,
  originals.clearTimeout,
];

/** Fakes hide it on the object itself. */
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

/** Those of jest, vitest and sinon, whichever of `Date`, `performance` and `process.hrtime` they replace. */
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

/** Those of node:test, whose timers tell when they are due, and others, which have to be believed when they fire. */
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

/** Whoever spies on one of the two has not replaced the timers. */
const areReal = (): boolean => REAL.includes(setTimeout) || REAL.includes(clearTimeout);

/** What the timers were recognised by, for as long as nobody replaces them. */
let recognised: { readonly by: readonly unknown[]; readonly timers: HostTimers } | undefined;

/** Always the same object for the same timers. */
export function hostTimers(): HostTimers {
  const clock = sinonClockOf(setTimeout, clearTimeout);
  const by = clock ? [clock] : areReal() ? [] : [setTimeout, clearTimeout, Date];
  if (recognised?.by.length !== by.length || by.some((part, i) => part !== recognised!.by[i])) {
    recognised = { by, timers: clock ? sinonTimers(clock) : by.length === 0 ? realTimers : otherTimers() };
  }
  return recognised.timers;
}
