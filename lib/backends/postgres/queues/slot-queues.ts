import type { Semaphore } from '../semaphores/semaphore.js';
import { Semaphores } from '../semaphores/semaphores.js';
import type { QueueSite } from './queue-site.js';
import { SlotQueue } from './slot-queue.js';
import { SlotTicketQueue } from './slot-ticket-queue.js';

/** The queues of the semaphores that this process uses, or has used within a minute. */
export class SlotQueues {
  private readonly semaphores: Semaphores;
  private readonly bySemaphore = new Map<Semaphore, SlotQueue>();
  private readonly tickets = new Set<SlotQueue>();

  constructor(private readonly site: QueueSite) {
    this.semaphores = new Semaphores(site, (semaphore) => this.bySemaphore.delete(semaphore));
  }

  /**
   * @param key with its namespace
   * @throws ConfigError for a limit that is too large; LimitMismatchError
   */
  get(key: string, limit: number): SlotQueue {
    const semaphore = this.semaphores.get(key, limit);
    let queue = this.bySemaphore.get(semaphore);
    if (!queue) this.bySemaphore.set(semaphore, (queue = new SlotQueue(this.site, semaphore)));
    return queue;
  }

  /**
   * A queue for a caller with a ticket.
   * @throws as `get`
   */
  ticket(key: string, limit: number): SlotQueue {
    const queue = new SlotTicketQueue(this.site, this.get(key, limit), (unused) => this.tickets.delete(unused));
    this.tickets.add(queue);
    return queue;
  }

  /** Iterates in the order of creation. */
  [Symbol.iterator](): Iterator<SlotQueue> {
    return [...this.bySemaphore.values(), ...this.tickets][Symbol.iterator]();
  }
}
