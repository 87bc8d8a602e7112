import { checkNumber, MAX_TIMER_SECONDS, type Range } from '../../common/option-checks.js';

/**
 * The bounds of the options that are given in more than one place: to the client, the module, the decorators, each call. What
 * a call would refuse is so refused where it is written.
 */
const BOUNDS = {
  acquireTimeoutS: { min: 0, max: MAX_TIMER_SECONDS },
  leaseTtlS: { min: 0, max: MAX_TIMER_SECONDS, open: true },
  minHoldS: { min: 0, max: MAX_TIMER_SECONDS },
  maxHoldS: { min: 0, max: MAX_TIMER_SECONDS, open: true },
  shutdownTimeoutS: { min: 0, max: MAX_TIMER_SECONDS },
  renewRatio: { min: 0, max: 1, open: true },
  /** Larger limits are refused by some servers (spec 3) and mean nothing. */
  limit: { min: 1, max: 1_048_576, integer: true },
} as const satisfies Readonly<Record<string, Range>>;

/** The option as a number within its bounds, or undefined where none was given. @throws ConfigError */
export const checkBounds = (option: keyof typeof BOUNDS, value: unknown): number | undefined =>
  // Every acquire asks, and few give one.
  value === undefined ? undefined : checkNumber(option, value, BOUNDS[option]);
