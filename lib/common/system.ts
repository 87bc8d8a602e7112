/**
 * The one place where lib touches the machine's clocks, timers and randomness. Everything else has them passed in,
 * so that it can be run on virtual time (the lint rules keep it so).
 */
import { randomFillSync } from 'node:crypto';
import { uptime } from 'node:os';
import { setImmediate as turn } from 'node:timers';

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
const LONGEST_TIMER: Ms = 2 ** 31 - 1;

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
  afterPoll: (fn) => void setImmediate(() => setImmediate(fn)),
  endOfTurn: (fn) => void setImmediate(fn),
  uptime: frugalUptime({ read: () => uptime() * 1000, now: () => performance.now(), wall: () => Date.now() }),
  wall: () => Date.now(),
};

export const systemEntropy: Entropy = {
  fill: (bytes) => void randomFillSync(bytes),
  unit: () => Math.random(),
};

/** The host's time and timers at this moment. */
export interface HostTiming {
  readonly now: () => Ms;
  readonly setTimeout: typeof setTimeout;
  readonly clearTimeout: typeof clearTimeout;
}

/** Test frameworks put other functions in the place of the host's. True if that has happened since `timing`. */
export const isReplaced = (timing: HostTiming): boolean =>
  timing.now !== performance.now || timing.setTimeout !== setTimeout;

export const hostTiming = (): HostTiming => ({
  now: Reflect.get(performance, 'now'),
  setTimeout,
  clearTimeout,
});

export const hostNow = ({ now }: HostTiming): Ms => Reflect.apply(now, performance, []);

/** One turn of the event loop, also where a test framework has stopped the timers. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void turn(resolve));
