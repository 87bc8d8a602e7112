import { AsyncLocalStorage } from 'node:async_hooks';
import { refuseOtherLayouts } from '../../common/copies.js';
import { shared } from '../../common/shared-state.js';
import type { Hold, LockContext, LockEntry } from './hold.js';
import type { LockHandle } from './lock-handle.js';

/** One for all copies of this package: what runs under a lock of one may ask another. */
const contexts = shared('contexts', () => new AsyncLocalStorage<LockContext>());

/** Runs `body` with the lock of `entry` as its current lock, on top of the locks of the calling code. */
export const runWithLock = <R>(entry: LockEntry, body: () => R): R => runWithLockIn(contexts.getStore(), entry, body);

/** As runWithLock(), on top of the locks of `around`: undefined for none. */
export const runWithLockIn = <R>(around: LockContext | undefined, entry: LockEntry, body: () => R): R =>
  contexts.run({ entry, outer: withoutEnded(around) }, body);

/**
 * The innermost lock that the calling code runs under (`withLock`, `@WithLock`, `lock.run`, …); undefined outside and
 * after its release, also in a task that the locked code left behind.
 *
 * It goes by the async context, which is not proof that the caller holds the lock. A task in a shared queue, a callback of
 * a connection pool or a listener of an event emitter may run in the context of other code. Bind such functions to their
 * own context with `AsyncResource.bind`, or pass the handle itself.
 * @throws ConfigError if a version of this package is loaded whose locks this one cannot see
 */
export function currentLock(): LockHandle | undefined {
  refuseOtherLayouts();
  return lockContext()?.entry.lock;
}

/** The innermost context of the calling code that has not ended. */
export const lockContext = (): LockContext | undefined => withoutEnded(contexts.getStore());

/** The innermost of the locks of a context, from the inside out, for which `matches` says so. */
export function findLock(context: LockContext | undefined, matches: (lock: Hold) => boolean): Hold | undefined {
  for (let at = context; at; at = at.outer) {
    const { lock } = at.entry;
    if (lock && matches(lock)) return lock;
  }
  return undefined;
}

/**
 * The first context that has not ended. Unlinks all that have: a task that starts its successor under a lock would
 * otherwise leave a chain that grows for ever.
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
