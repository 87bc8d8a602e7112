import { findCurrentLock } from './current-lock.js';
import type { Hold } from './hold.js';
import type { Holds } from './holds.js';
import type { LockRequest } from './lock-request.js';

/** The caller runs under a lock that it asks for again. */
export interface Nesting {
  /** The first key that is held already, as the caller wrote it. */
  readonly key: string;
  /** A hold that has all keys: only that can be joined. */
  readonly whole: Hold | undefined;
}

/**
 * Whether the calling code runs under a lock that stands in the way of the request: to wait for it would be to wait for
 * oneself. Only what has one slot stands in the way; another client's lock of the same name is another lock.
 */
export function nestingOf({ keys, wires }: LockRequest, holds: Holds): Nesting | undefined {
  const nested = wires.findIndex((wire) => findCurrentLock((lock) => holds.owns(lock) && lock.covers(wire)));
  if (nested < 0 || wires[nested]!.limit > 1) return undefined;
  const whole = findCurrentLock((lock) => holds.owns(lock) && wires.every((wire) => lock.covers(wire)));
  return { key: keys[nested]!, whole };
}
