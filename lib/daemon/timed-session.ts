import type { Ms } from '../common/system.js';
import { BLOCKED_GRACE_MS, BLOCKED_TAIL_CAP } from '../protocol/limits.js';
import { nextSessionState, type SessionEvent, type SessionState } from './session-state.js';

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

  protected to(event: SessionEvent): void {
    this.state = nextSessionState(this.state, event);
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
