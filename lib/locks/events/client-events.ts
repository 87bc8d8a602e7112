import type { LinkEvent } from '../../backends/backend.js';
import { plainFields } from '../../common/plain.js';
import { microtask, type Ms } from '../../common/system.js';
import { EventHub } from './event-hub.js';
import type { LockEvent, LockLostEvent, LockNotice } from './events.js';

/** What all events have in common: they can be made JSON, in which no token is. */
class ToldEvent {
  toJSON(): object {
    return plainFields(this);
  }
}
Object.defineProperty(ToldEvent, 'name', { value: 'LockEvent' });

/** Events are made where things happen, as plain data, and only while somebody listens. */
const told = <E extends LockEvent>(event: E): E => Object.setPrototypeOf(event, ToldEvent.prototype) as E;

/**
 * The streams of a client. What happens to every lock is made into an event only while somebody listens to all events;
 * rare notices have a stream of their own, so that a logger costs nothing for each lock.
 */
export class ClientEvents {
  private readonly all = new EventHub<LockEvent>();
  private readonly rare = new EventHub<LockNotice>();
  private readonly losses = new EventHub<LockLostEvent>();
  /** What the stream of all events has yet to tell. */
  private untold: LockEvent[] = [];

  readonly events$ = this.all.stream;
  readonly notices$ = this.rare.stream;
  readonly lockLost$ = this.losses.stream;

  /** Whether anybody listens to all events. */
  get observed(): boolean {
    return this.all.observed;
  }

  /**
   * What happens to locks all the time; callers look first whether it is observed. Told in this turn, but not in the
   * middle of a grant or a release: who hears it may acquire or close.
   */
  emit(event: LockEvent): void {
    if (this.untold.push(told(event)) === 1) microtask(() => this.catchUp());
  }

  /** What is rare; told at once. */
  notice(event: LockNotice): void {
    this.catchUp();
    told(event);
    if (event.type === 'lost') this.losses.emit(event);
    this.rare.emit(event);
    this.all.emit(event);
  }

  /** Of a connection to a server. */
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
