import type { LockError } from '../../../common/errors.js';
import type { Semaphore } from '../semaphores/semaphore.js';
import type { SlotTrial } from '../semaphores/slot-trial.js';
import type { SlotGrant, SlotUser } from '../semaphores/slot-user.js';
import type { Trial } from './trial.js';

/** The queue of a semaphore, as its tries know it. */
export interface SlotTryOf {
  readonly semaphore: Pick<Semaphore, 'try'>;
  granted(grant: SlotGrant): void;
  refused(): void;
  tryFailed(error: LockError): void;
}

/** A try of a queue for a slot. */
export class SlotTry implements Trial, SlotUser {
  private trial: SlotTrial | undefined;
  private isUnwanted = false;

  constructor(private readonly queue: SlotTryOf) {}

  get isDropped(): boolean {
    return this.isUnwanted;
  }

  set isDropped(is: boolean) {
    this.isUnwanted = is;
    if (is) this.trial?.drop();
  }

  send(): void {
    this.trial = this.queue.semaphore.try(this, false);
  }

  /** SlotUser */
  granted(grant: SlotGrant): void {
    this.queue.granted(grant);
  }

  /** SlotUser */
  refused(): void {
    this.queue.refused();
  }

  /** SlotUser */
  failed(error: LockError): void {
    this.queue.tryFailed(error);
  }
}
