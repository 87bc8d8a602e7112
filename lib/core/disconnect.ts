import type { Ms } from '../common/system.js';
import { batchSize } from './batch-size.js';
import { Granting } from './granting.js';
import type { Session } from './session.js';
import type { SignalHub } from './signal-hub.js';

/** At once of a session that ends: about as much as costs what the end of a connection costs by itself. */
const CLOSED_AT_ONCE = 64;

/** A session that has ended, and of which something is left. */
interface ClosingSession {
  readonly session: Session;
  readonly releaseHeld: boolean;
}

/** What becomes of a session that ends: of its places, its locks and its subscriptions (spec 4.6). */
export abstract class Disconnecting extends Granting {
  protected readonly sessions = new Set<Session>();
  protected readonly leaving = new Set<ClosingSession>();
  protected abstract readonly signals: SignalHub;

  /**
   * The connection is gone (spec 4.6): no reply to its open operations. `releaseHeld`: auto-release. Of a session that has
   * much, a part is left for `advance`, and stays held or queued until then.
   */
  close(session: Session, now: Ms, releaseHeld: boolean): void {
    if (session.closed) return;
    session.closed = true;
    this.sessions.delete(session);
    for (const waiter of [...session.waiting.values()]) this.leaveQueue(waiter, now, 'disconnect');
    const rest: ClosingSession = { session, releaseHeld };
    if (this.clearAll(rest, CLOSED_AT_ONCE, now) === CLOSED_AT_ONCE) this.leaving.add(rest);
  }

  /** Goes on with sessions that ended earlier. */
  protected clearLeft(now: Ms): void {
    for (const rest of this.leaving) {
      const { tickets, holds } = rest.session;
      const most = batchSize(tickets.size + holds.size);
      if (this.clearAll(rest, most, now) === most) return;
      this.leaving.delete(rest);
    }
  }

  /** Locks first: others wait for them. */
  private clearAll(rest: ClosingSession, most: number, now: Ms): number {
    const cleared = this.clear(rest, most, now);
    return cleared + this.signals.drop(rest.session, most - cleared);
  }

  /** Takes up to `most` from a session that has ended; returns how many it took. */
  private clear({ session, releaseHeld }: ClosingSession, most: number, now: Ms): number {
    let taken = 0;
    for (const { waiter, hold } of session.tickets.values()) {
      if (taken === most) return taken;
      taken++;
      if (waiter) this.leaveQueue(waiter, now, 'disconnect');
      else this.consume(session, hold!);
    }
    if (!releaseHeld) return taken;
    for (const hold of session.holds) {
      if (taken === most) return taken;
      taken++;
      this.free(hold, now, 'disconnect');
    }
    return taken;
  }
}
