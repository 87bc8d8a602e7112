import type { LinkEvent } from '../../backends/backend.js';
import { plainFields } from '../../common/plain.js';
import { microtask, type Ms } from '../../common/system.js';
import { EventHub } from './event-hub.js';
import type { LockEvent, LockLostEvent, LockNotice } from './events.js';

/** Base of all events: makes them serialisable to JSON without their tokens. */
class ToldEvent {
  toJSON(): object {
    return plainFields(this);
  }
}
Object.defineProperty(ToldEvent, 'name', { value: 'LockEvent' });

/** Events are plain data, created where things happen, and only while there are subscribers. */
const told = <E extends LockEvent>(event: E): E => Object.setPrototypeOf(event, ToldEvent.prototype) as E;

/**
 * The event streams of a client. Frequent events are created only while `events$` has subscribers; rare notices have a
 * stream of their own, so that a logger costs nothing per lock.
 */
export class ClientEvents {
  private readonly all = new EventHub<LockEvent>();
  private readonly rare = new EventHub<LockNotice>();
  private readonly losses = new EventHub<LockLostEvent>();
  /** Events not yet emitted on `events$`. */
  private untold: LockEvent[] = [];

  readonly events$ = this.all.stream;
  readonly notices$ = this.rare.stream;
  readonly lockLost$ = this.losses.stream;

  /** Whether `events$` has subscribers. */
  get observed(): boolean {
    return this.all.observed;
  }

  /**
   * Emits a frequent event; callers check `observed` first. It is delivered in this turn, but not in the middle of a
   * grant or a release, because a subscriber may acquire or close.
   */
  emit(event: LockEvent): void {
    if (this.untold.push(told(event)) === 1) microtask(() => this.catchUp());
  }

  /** Emits a rare event, at once. */
  notice(event: LockNotice): void {
    this.catchUp();
    told(event);
    if (event.type === 'lost') this.losses.emit(event);
    this.rare.emit(event);
    this.all.emit(event);
  }

  /** Emits an event about a connection to a server. */
  link({ server, state, error, detail }: LinkEvent, at: Ms): void {
    switch (state) {
      case 'up':
        return this.notice({ type: 'connected', server, at });
      case 'down':
        return this.notice({ type: 'disconnected', server, at, ...(error ? { error } : undefined) });
      case 'draining':
        return this.notice({ type: 'degraded', server, at, detail: 'the server is shutting down' });
      case 'degraded':
        return this.notice({ type: 'degraded', server, at, detail: detail ?? 'the server is degraded' });
    }
  }

  close(): void {
    this.catchUp();
    this.all.close();
    this.rare.close();
    this.losses.close();
  }

  private catchUp(): void {
    const { untold } = this;
    this.untold = [];
    for (const event of untold) this.all.emit(event);
  }
}
