import { ConfigError, LockLostError, NestedLockError } from '../../common/errors.js';
import { shown } from '../../common/shown.js';
import { findLock } from '../handle/current-lock.js';
import type { Hold, LockedCall } from '../handle/hold.js';
import type { Holds } from '../handle/holds.js';
import type { LockHandle } from '../handle/lock-handle.js';
import type { CheckedAcquire } from './checked-acquire.js';

/** The caller requests a lock that it already runs under. */
export interface Nesting {
  /** The first key held already, as the caller wrote it. */
  readonly key: string;
  /** The hold to join, if an override calls its decorated `super`. */
  readonly joined: Hold | undefined;
}

/**
 * Whether the calling code runs under a lock that the request joins, or that it would block on: waiting for it would be
 * waiting for oneself. Only keys with one slot block, and another client's lock of the same name is a different lock.
 */
export function nestingOf({ keys, wires, around, call }: CheckedAcquire, holds: Holds): Nesting | undefined {
  if (!around) return undefined;
  const joined = call?.joins
    ? findLock(around, (lock) => isSuperOf(call, lock.call) && holds.owns(lock) && wires.every((w) => lock.covers(w)))
    : undefined;
  if (joined) return { key: keys[0]!, joined };
  if (wires[0]!.limit > 1) return undefined;
  const nested = wires.findIndex((wire) => findLock(around, (lock) => holds.owns(lock) && lock.covers(wire)));
  return nested < 0 ? undefined : { key: keys[nested]!, joined };
}

/** @throws NestedLockError */
export function assertNotNested(nesting: Nesting | undefined): void {
  if (nesting) throw new NestedLockError(nesting.key);
}

/**
 * The async context alone proves nothing, since a shared queue runs tasks in the context of others. Only a call of the
 * override's `super` on the same object counts as part of the override.
 */
function isSuperOf(call: LockedCall, override: LockedCall | undefined): boolean {
  if (!override || override.self !== call.self) return false;
  const [own, its] = [call.method, override.method];
  return own.property === its.property && Object.prototype.isPrototypeOf.call(own.prototype, its.prototype);
}

/**
 * The lock named by `onNested`.
 * @throws ConfigError if it does not fit the request, LockLostError
 */
export function namedHold({ keys, wires }: CheckedAcquire, named: LockHandle, holds: Holds): Hold {
  const wrong = (what: string) => new ConfigError(`option onNested: the lock "${shown(named.keys[0])}" ${what}`);
  if (!holds.owns(named)) throw wrong('belongs to another client');
  const missing = wires.findIndex((wire, i) => !named.keys.includes(keys[i]!) || !named.names(wire));
  if (missing >= 0) {
    const key = keys[missing]!;
    throw wrong(`does not hold "${shown(key)}"${named.keys.includes(key) ? slots(wires[missing]!) : ''}`);
  }
  const { loss } = named;
  if (loss) throw new LockLostError(keys[0]!, loss.reason, { server: loss.server, cause: loss });
  if (named.isReleased) throw wrong('has been released');
  named.assertHeld();
  return named;
}

const slots = ({ kind, limit }: CheckedAcquire['wires'][number]): string =>
  kind === 'sem' ? ` with limit ${limit}` : ' without a limit';
