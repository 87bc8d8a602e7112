import type { Clock, Entropy, Ms } from '../../../common/system.js';

/** What the connections of a driver have in common: the host's clock and randomness, and what the user has set. */
export interface DriverSettings {
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** A connection on which a request has no answer after so long is dropped. */
  readonly requestTimeoutMs: Ms;
  /** Delays between attempts to connect: full jitter below a bound that doubles from the first to the second. */
  readonly minDelayMs: Ms;
  readonly maxDelayMs: Ms;
  /** Whether `watch` is going to be used. */
  readonly watch: boolean;
}
