import { Observable, type Subscriber } from 'rxjs';

/**
 * A hot stream: subscribers get what happens from then on, never an error, and completion when it closes. Emitting
 * without subscribers costs a look at a number; RxJS keeps what a subscriber throws from everybody else.
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

  /** Whether anybody listens; an event that nobody hears need not be made. */
  get observed(): boolean {
    return this.subscribers.size > 0;
  }

  emit(event: E): void {
    // A copy: who is told may subscribe or unsubscribe.
    for (const subscriber of [...this.subscribers]) subscriber.next(event);
  }

  close(): void {
    this.closed = true;
    for (const subscriber of [...this.subscribers]) subscriber.complete();
    this.subscribers.clear();
  }
}
