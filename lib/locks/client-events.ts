import { EventHub } from './event-hub.js';
import type { LockEvent, LockLostEvent, LockNotice } from './events.js';

/**
 * The streams of a client. What happens to every lock is made into an event only while somebody listens to all events;
 * rare notices have a stream of their own, so that a logger costs nothing for each lock.
 */
export class ClientEvents {
  private readonly all = new EventHub<LockEvent>();
  private readonly rare = new EventHub<LockNotice>();
  private readonly losses = new EventHub<LockLostEvent>();

  readonly events$ = this.all.stream;
  readonly notices$ = this.rare.stream;
  readonly lockLost$ = this.losses.stream;

  /** Whether anybody listens to all events. */
  get observed(): boolean {
    return this.all.observed;
  }

  /** What happens to locks all the time; callers look first whether it is observed. */
  emit(event: LockEvent): void {
    this.all.emit(event);
  }

  /** What is rare. */
  notice(event: LockNotice): void {
    if (event.type === 'lost') this.losses.emit(event);
    this.rare.emit(event);
    this.all.emit(event);
  }

  close(): void {
    this.all.close();
    this.rare.close();
    this.losses.close();
  }
}
