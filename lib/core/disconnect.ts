import type { Ms } from '../common/system.js';
import { batchSize } from './batch-size.js';
import { Granting } from './granting.js';
import type { Session } from './session.js';
import type { SignalHub } from './signal-hub.js';

/** Holds, places and subscriptions freed at once when a session ends: about the cost of closing the connection. */
const CLOSED_AT_ONCE = 64;

/** A session that has ended but still has holds or places to free. */
interface ClosingSession {
  readonly session: Session;
  readonly releaseHeld: boolean;
}

/** What happens when a session ends: its places, holds and subscriptions are freed (spec 4.6). */
export abstract class Disconnecting extends Granting {
  protected readonly sessions = new Set<Session>();
  protected readonly leaving = new Set<ClosingSession>();
  protected abstract readonly signals: SignalHub;

  /**
   * The connection is closed (spec 4.6): its open operations get no reply. `releaseHeld`: auto-release. If the session
   * has many holds, `advance` frees the rest; until then they stay held or queued.
   */
  close(session: Session, now: Ms, releaseHeld: boolean): void {
    if (session.closed) return;
    session.closed = true;
    this.sessions.delete(session);
    for (const waiter of [...session.waiting.values()]) this.leaveQueue(waiter, now, 'disconnect');
    const rest: ClosingSession = { session, releaseHeld };
    if (this.clearAll(rest, CLOSED_AT_ONCE, now) === CLOSED_AT_ONCE) this.leaving.add(rest);
  }

  /** Continues to free what ended sessions still hold. */
  protected clearLeft(now: Ms): void {
    for (const rest of this.leaving) {
      const { tickets, holds } = rest.session;
      const most = batchSize(tickets.size + holds.size);
      if (this.clearAll(rest, most, now) === most) return;
      this.leaving.delete(rest);
    }
  }

  /** Frees locks first, because other sessions wait for them. */
  private clearAll(rest: ClosingSession, most: number, now: Ms): number {
    const cleared = this.clear(rest, most, now);
    return cleared + this.signals.drop(rest.session, most - cleared);
  }

  /** Frees up to `most` places and holds of a session that has ended; returns how many. */
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
