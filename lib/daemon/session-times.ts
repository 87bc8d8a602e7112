import type { Ms } from '../common/system.js';
import { BLOCKED_GRACE_MS, BLOCKED_TAIL_CAP } from '../protocol/limits.js';

/**
 * auth → ready ⇄ blocked (a command waits in a queue) → leaving (the last line is on its way) → closed.
 * `choked` is ready with a peer that does not read: nothing is executed until it does.
 */
export type SessionState = 'auth' | 'ready' | 'choked' | 'blocked' | 'leaving' | 'closed';

/** By when a session is over unless something happens. */
export class SessionTimes {
  /** When the line that is being read began (spec 1.5). */
  lineSince: Ms;
  blockedSince: Ms = 0;
  leaveAt: Ms = 0;

  constructor(
    now: Ms,
    private readonly readTimeoutMs: Ms,
  ) {
    this.lineSince = now;
  }

  /** When too much may be behind a command that blocks (spec 1.7). */
  get graceEnd(): Ms {
    return this.blockedSince + BLOCKED_GRACE_MS;
  }

  /** @param continued lines are there, and wait to be executed */
  lineDue(state: SessionState, continued: boolean): Ms {
    return (state === 'ready' || state === 'auth') && !continued ? this.lineSince + this.readTimeoutMs : Infinity;
  }

  /** @param writeDue when the peer must have taken what was written @param unread bytes that wait to be executed */
  next(state: SessionState, writeDue: Ms, unread: number, continued: boolean): Ms {
    switch (state) {
      case 'auth':
      case 'ready':
        return Math.min(this.lineDue(state, continued), writeDue);
      case 'choked':
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
