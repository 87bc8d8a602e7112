import { Observable, type Subscriber } from 'rxjs';

/**
 * A hot stream: subscribers receive later events, never an error, and completion when it closes. Without subscribers,
 * callers that ask `observed` first pay one comparison: lock-acquirer.ts, holds.ts and held-lock.ts. RxJS keeps an error thrown by one subscriber from the others.
 */
export class EventHub<E> {
  private readonly subscribers = new Set<Subscriber<E>>();
  private closed = false;

  readonly stream = new Observable<E>((subscriber) => {
    if (this.closed) {
      subscriber.complete();
      return;
    }
    this.subscribers.add(subscriber);
    return () => this.subscribers.delete(subscriber);
  });

  /**
   * Whether there are subscribers. Code with a frequent event asks this first, through `ClientEvents.observed`, so that
   * an event without subscribers is not even built.
   */
  get observed(): boolean {
    return this.subscribers.size > 0;
  }

  emit(event: E): void {
    // Iterates over a copy, since a subscriber may subscribe or unsubscribe.
    for (const subscriber of [...this.subscribers]) subscriber.next(event);
  }

  close(): void {
    this.closed = true;
    for (const subscriber of [...this.subscribers]) subscriber.complete();
    this.subscribers.clear();
  }
}
