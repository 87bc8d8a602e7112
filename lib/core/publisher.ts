import { ALLOWANCE } from './signal-weight.js';
import type { Session } from './session.js';
import type { Delivery, SignalHub } from './signal-hub.js';
import type { OpId } from './types.js';

/** Called with the number of copies of a signal. */
type Told = (session: Session, op: OpId, copies: number) => void;

interface Publication {
  readonly session: Session;
  readonly op: OpId;
  readonly delivery: Delivery;
}

/**
 * Delivers signals in portions, so that a signal to thousands of listeners delays nobody else. Signals on one channel
 * are delivered one after the other, so that all listeners get them in the same order; channels take turns.
 */
export class Publisher {
  /** By channel, in the order of their turns. */
  private readonly waiting = new Map<string, Publication[]>();

  constructor(
    private readonly hub: SignalHub,
    private readonly told: Told,
  ) {
    hub.allowance = ALLOWANCE;
  }

  /** Whether `proceed` has something to do. */
  get isBusy(): boolean {
    return this.waiting.size > 0;
  }

  /** Calls `told` at once if the signal need not wait. */
  publish(session: Session, op: OpId, channel: string, payload: string): void {
    const { hub, waiting } = this;
    const queue = waiting.get(channel);
    if (queue) return void queue.push({ session, op, delivery: hub.publish(channel, payload) });
    if (hub.allowance > 0) {
      const copies = hub.publishAtOnce(channel, payload);
      if (copies !== undefined) return this.told(session, op, copies);
    }
    const publication = { session, op, delivery: hub.publish(channel, payload) };
    if (hub.allowance <= 0 || !this.step(publication)) waiting.set(channel, [publication]);
  }

  /** Delivers a portion of what waits. */
  proceed(): void {
    const { hub, waiting } = this;
    hub.allowance = ALLOWANCE;
    for (const [channel, queue] of waiting) {
      while (hub.allowance > 0 && queue.length > 0 && this.step(queue[0]!)) queue.shift();
      if (queue.length === 0) waiting.delete(channel);
      if (hub.allowance > 0) continue;
      if (queue.length === 0) return;
      // It has had its turn.
      waiting.delete(channel);
      waiting.set(channel, queue);
      return;
    }
  }

  /** Whether the publication is done. */
  private step({ session, op, delivery }: Publication): boolean {
    const { done, value } = delivery.next();
    if (!done) return false;
    this.told(session, op, value);
    return true;
  }
}
