import { brand } from '../../common/brand.js';
import { printAs } from '../../common/inspection.js';
import { DistributedHold, type HoldSurroundings } from './distributed-hold.js';
import type { DistributedLockOptions } from './options.js';
import type { Subject } from './requests.js';

/**
 * A lock on a connection of its own, opened for each hold and closed after it.
 *
 * @example
 * ```ts
 * const lock = new DistributedLock({ key: 'report', onLockLost: (key) => stopWorkingOn(key) });
 * if (await lock.acquire()) {
 *   try {
 *     await makeReport();
 *   } finally {
 *     await lock.release();
 *   }
 * }
 * ```
 */
export class DistributedLock extends DistributedHold {
  /** @throws LockError for options that cannot work */
  constructor(options: DistributedLockOptions);
  /** @internal */
  constructor(options: DistributedLockOptions, surroundings?: HoldSurroundings);
  constructor(options: DistributedLockOptions, surroundings?: HoldSurroundings) {
    super(options, surroundings);
  }

  /** @internal */
  protected get subject(): Subject {
    return { kind: 'lock', key: this.key, limit: 1 };
  }
}
brand(DistributedLock, 'DistributedLock');
printAs('DistributedLock', DistributedLock);
