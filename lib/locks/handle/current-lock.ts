import { AsyncLocalStorage } from 'node:async_hooks';
import { refuseOtherLayouts } from '../../common/copies.js';
import { shared } from '../../common/shared-state.js';
import type { Hold, LockContext, LockEntry } from './hold.js';
import type { LockHandle } from './lock-handle.js';

/** Shared by all copies of this package, so that code under a lock of one copy is seen by another. */
const contexts = shared('contexts', () => new AsyncLocalStorage<LockContext>());

/** Runs `body` with the lock of `entry` as its current lock, inside the locks of the calling code. */
export const runWithLock = <R>(entry: LockEntry, body: () => R): R => runWithLockIn(contexts.getStore(), entry, body);

/** Like runWithLock(), inside the locks of `around`; undefined: none. */
export const runWithLockIn = <R>(around: LockContext | undefined, entry: LockEntry, body: () => R): R =>
  contexts.run({ entry, outer: withoutEnded(around) }, body);

/**
 * The innermost lock that the calling code runs under (`withLock`, `@WithLock`, `lock.run`, …). Undefined outside of
 * one and after its release, even in a task that the locked code left behind.
 *
 * It follows the async context, which does not prove that the caller holds the lock: a task in a shared queue, a
 * callback of a connection pool or a listener of an event emitter may run in the context of other code. Bind such
 * functions to their own context with `AsyncResource.bind`, or pass the handle itself.
 * @throws ConfigError if another version of this package is loaded whose locks cannot be seen
 */
export function currentLock(): LockHandle | undefined {
  refuseOtherLayouts();
  return lockContext()?.entry.lock;
}

/** The innermost context of the calling code that has not ended. */
export const lockContext = (): LockContext | undefined => withoutEnded(contexts.getStore());

/** The innermost lock of a context that `matches`, searched from the inside out. */
export function findLock(context: LockContext | undefined, matches: (lock: Hold) => boolean): Hold | undefined {
  for (let at = context; at; at = at.outer) {
    const { lock } = at.entry;
    if (lock && matches(lock)) return lock;
  }
  return undefined;
}

/**
 * The first context whose lock is not over. Unlinks all others: a task that starts its successor under a lock would
 * otherwise build an ever-growing chain.
 */
function withoutEnded(context: LockContext | undefined): LockContext | undefined {
  if (!context) return undefined;
  const first = skipEnded(context);
  for (let at: LockContext | undefined = context; at; at = at.outer) at.outer = skipEnded(at.outer);
  return first;
}

function skipEnded(context: LockContext | undefined): LockContext | undefined {
  let at = context;
  while (at && !at.entry.lock) at = at.outer;
  return at;
}
