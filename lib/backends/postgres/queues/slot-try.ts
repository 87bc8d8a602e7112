import type { Semaphore } from '../semaphores/semaphore.js';
import type { SlotGrant, SlotUser } from '../semaphores/slot-user.js';
import { KeyTry, type KeyTryOf } from './key-try.js';

/** What a try needs of the queue of its semaphore. */
export interface SlotTryOf extends KeyTryOf {
  readonly semaphore: Pick<Semaphore, 'try'>;
  granted(grant: SlotGrant): void;
}

/** A try of a queue for a slot. */
export class SlotTry extends KeyTry<SlotTryOf> implements SlotUser {
  send(): void {
    this.queue.semaphore.try(this, false);
  }

  /** SlotUser */
  granted(grant: SlotGrant): void {
    this.queue.granted({ ...grant, sentAt: this.validFrom(grant.sentAt) });
  }
}
