import { checkNumber, MAX_TIMER_SECONDS, type Range } from '../../common/option-checks.js';

/**
 * The bounds of the options that can be set in more than one place: the client, the module, the decorators, each call.
 * A value that a call would refuse is so refused where it is written.
 */
const BOUNDS = {
  acquireTimeoutS: { min: 0, max: MAX_TIMER_SECONDS },
  leaseTtlS: { min: 0, max: MAX_TIMER_SECONDS, open: true },
  minHoldS: { min: 0, max: MAX_TIMER_SECONDS },
  maxHoldS: { min: 0, max: MAX_TIMER_SECONDS, open: true },
  shutdownTimeoutS: { min: 0, max: MAX_TIMER_SECONDS },
  renewRatio: { min: 0, max: 1, open: true },
  /** Some servers refuse larger limits (spec 3), which would be of no use anyway. */
  limit: { min: 1, max: 1_048_576, integer: true },
} as const satisfies Readonly<Record<string, Range>>;

/** The option as a number within its bounds, or undefined if it is not set. @throws ConfigError */
export const checkBounds = (option: keyof typeof BOUNDS, value: unknown): number | undefined =>
  // Every acquire checks, and few set one.
  value === undefined ? undefined : checkNumber(option, value, BOUNDS[option]);
