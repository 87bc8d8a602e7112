import { AsyncLocalStorage } from 'node:async_hooks';
import { refuseOtherLayouts } from '../common/copies.js';
import { shared } from '../common/shared-state.js';
import type { Hold } from './hold.js';
import type { LockHandle } from './lock-handle.js';

/** A hold and the holds around it. */
interface Context {
  readonly lock: Hold;
  readonly ended: () => boolean;
  readonly outer: Context | undefined;
}

/** One for all copies of this package: what runs under a lock of one may ask another. */
const contexts = shared('contexts', () => new AsyncLocalStorage<Context>());

/** Runs `body` with `lock` as its current lock, on top of those that are current already. */
export const runWithLock = <R>(lock: Hold, ended: () => boolean, body: () => R): R =>
  contexts.run({ lock, ended, outer: contexts.getStore() }, body);

/**
 * The innermost lock that the calling code runs under (`withLock`, `@WithLock`, …); undefined outside and after its
 * release, also in a task that the locked code left behind.
 * @throws ConfigError if a version of this package is loaded whose locks this one cannot see
 */
export function currentLock(): LockHandle | undefined {
  refuseOtherLayouts();
  return findCurrentLock(() => true);
}

/** The innermost of the locks that the calling code runs under for which `matches` says so. */
export function findCurrentLock(matches: (lock: Hold) => boolean): Hold | undefined {
  for (let context = contexts.getStore(); context; context = context.outer) {
    if (!context.ended() && matches(context.lock)) return context.lock;
  }
  return undefined;
}
