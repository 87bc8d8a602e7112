import { brand } from '../../common/brand.js';
import { printAs } from '../../common/inspection.js';
import { DistributedHold, type HoldSurroundings } from './distributed-hold.js';
import { checkLimit, type DistributedSemaphoreOptions } from './options.js';
import type { Subject } from './requests.js';

/** One of `limit` slots. Like DistributedLock, it opens a connection for each hold and closes it after the hold. */
export class DistributedSemaphore extends DistributedHold {
  readonly limit: number;

  /** @throws LockError for options that cannot work */
  constructor(options: DistributedSemaphoreOptions);
  /** @internal */
  constructor(options: DistributedSemaphoreOptions, surroundings?: HoldSurroundings);
  constructor(options: DistributedSemaphoreOptions, surroundings?: HoldSurroundings) {
    super(options, surroundings);
    checkLimit(options.limit);
    this.limit = options.limit;
  }

  /** @internal */
  protected get subject(): Subject {
    return { kind: 'sem', key: this.key, limit: this.limit };
  }
}
brand(DistributedSemaphore, 'DistributedSemaphore');
printAs('DistributedSemaphore', DistributedSemaphore);
