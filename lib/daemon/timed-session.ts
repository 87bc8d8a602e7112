import type { Ms } from '../common/system.js';
import { BLOCKED_GRACE_MS, BLOCKED_TAIL_CAP } from '../protocol/limits.js';

/**
 * auth → ready ⇄ blocked (a command waits in a queue) → leaving (the last line is on its way) → closed.
 * `choked` is ready with a peer that does not read: nothing is executed until it does. `busy` is ready with an answer that is made
 * or written in portions: nothing is executed until it is given.
 */
export type SessionState = 'auth' | 'ready' | 'choked' | 'busy' | 'blocked' | 'leaving' | 'closed';

/** How long a peer may take to read the last line where no write timeout is set. */
const LAST_LINE_MS: Ms = 5_000;

/** By when a session is over unless something happens. A base class, because it is looked at with every request. */
export abstract class TimedSession {
  /** When the line that is being read began (spec 1.5). */
  protected lineSince: Ms;
  protected blockedSince: Ms = 0;
  protected leaveAt: Ms = 0;
  /** Lines are there, and wait to be executed. */
  protected continued = false;

  constructor(
    protected state: SessionState,
    now: Ms,
    private readonly readTimeoutMs: Ms,
  ) {
    this.lineSince = now;
  }

  /** When too much may be behind a command that blocks (spec 1.7). */
  protected get graceEnd(): Ms {
    return this.blockedSince + BLOCKED_GRACE_MS;
  }

  protected get isOpen(): boolean {
    return this.state === 'ready' || this.state === 'auth';
  }

  protected get lineDue(): Ms {
    return this.isOpen && !this.continued ? this.lineSince + this.readTimeoutMs : Infinity;
  }

  /** When the last line must be on its way; 0 stands for no delay and for no write timeout. */
  protected lastLineDue(now: Ms, delayMs: Ms, writeTimeoutMs: Ms): Ms {
    return now + (delayMs || writeTimeoutMs || LAST_LINE_MS);
  }

  /** @param writeDue when the peer must have taken what was written @param unread bytes that wait to be executed */
  protected dueBy(writeDue: Ms, unread: number): Ms {
    switch (this.state) {
      case 'auth':
      case 'ready':
        return Math.min(this.lineDue, writeDue);
      case 'choked':
      case 'busy':
        return writeDue;
      case 'blocked':
        return unread < BLOCKED_TAIL_CAP ? writeDue : Math.min(writeDue, this.graceEnd);
      case 'leaving':
        return this.leaveAt;
      case 'closed':
        return Infinity;
    }
  }
}
