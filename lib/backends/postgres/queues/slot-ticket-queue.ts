import { PoolExhaustedError } from '../../../common/errors.js';
import type { Place } from './place.js';
import type { QueueSite } from './queue-site.js';
import { SlotQueue } from './slot-queue.js';
import type { QueueWaiter } from './waiter.js';

/** The queue of one caller, who has a place of its own at the gate of a semaphore. */
export class SlotTicketQueue extends SlotQueue {
  private isRival = false;
  /** Whether nobody waited in this process when the caller arrived. */
  private isFirst = false;

  /**
   * @param shared the queue of the callers without tickets
   * @param unused called once the caller is done
   */
  constructor(
    site: QueueSite,
    private readonly shared: SlotQueue,
    private readonly unused: (queue: SlotTicketQueue) => void,
  ) {
    super(site, shared.semaphore, shared.fences);
  }

  override join(waiter: QueueWaiter): void {
    this.isFirst = this.shared.counts.waiters === 0;
    super.join(waiter);
  }

  /** The answer to the trial. Earlier callers need a place before this one gets one. */
  override refused(): void {
    // However long that takes, the caller's own deadline counts.
    this.answerTries((waiter) => waiter.busy());
    if (this.isFirst) this.takePlace();
    else this.shared.afterTrial(() => this.takePlace());
  }

  /** PlaceHost. Without a connection, there is no place, and a ticket is nothing else. */
  override denied(place: Place): void {
    const { waitSessions, server } = this.site;
    const text = `all ${waitSessions.cap} wait connections to ${server} are in use (option postgresBackend.maxWaitConnections)`;
    this.failed(place, new PoolExhaustedError(text, { server, isTransient: false }));
  }

  private takePlace(): void {
    // The caller may have left meanwhile.
    if (this.waiters.size > 0) {
      if (!this.isRival) this.shared.addRival(this.isFirst);
      this.isRival = true;
    }
    super.refused();
  }

  override adjust(): void {
    super.adjust();
    if (this.waiters.size > 0) return;
    if (this.isRival) this.shared.removeRival();
    this.isRival = false;
    if (this.isUnused) this.unused(this);
  }
}
