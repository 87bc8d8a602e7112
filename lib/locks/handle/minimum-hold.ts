import { wrong } from '../../common/option-checks.js';
import type { Ms } from '../../common/system.js';
import { checkBounds } from '../options/bounds.js';
import { checkMaxHold } from '../options/resolve-options.js';
import type { Hold } from './hold.js';

/** How long a body keeps its lock. */
export interface HoldTimes {
  readonly minHoldMs: Ms;
  /** Infinity: no limit. */
  readonly maxHoldMs: Ms;
}

/**
 * @param otherwise the client's `maxHoldS` in milliseconds
 * @throws ConfigError, also if the two contradict each other
 */
export function holdTimes(minHoldS: unknown, maxHoldS: unknown, otherwise: Ms): HoldTimes {
  const minHoldMs = (checkBounds('minHoldS', minHoldS) ?? 0) * 1000;
  const maxHoldMs = checkMaxHold(maxHoldS) ?? otherwise;
  if (minHoldMs > maxHoldMs) throw wrong('maxHoldS', `at least minHoldS (${minHoldMs / 1000})`, maxHoldMs / 1000);
  return { minHoldMs, maxHoldMs };
}

/** Keeps the lock taken until `minHoldMs` after the grant, even if its body settles and releases it earlier. */
export function keepForMinimum(held: Hold, grantedAt: Ms, { minHoldMs }: HoldTimes): void {
  if (minHoldMs > 0) held.keepUntil(grantedAt + minHoldMs);
}

/** How long the server is to keep a lock that is released now. @param keptUntil 0: not at all */
export const remainingHold = (keptUntil: Ms, now: Ms): Ms => (keptUntil === 0 ? 0 : Math.max(keptUntil - now, 0));
