import type { Duplex } from 'node:stream';
import type { Ms } from '../../common/system.js';
import { BLOCKED_GRACE_MS, BLOCKED_TAIL_CAP } from '../../protocol/limits.js';
import type { SessionHost } from './session-host.js';
import { nextSessionState, type SessionEvent, type SessionState } from './session-state.js';
import { WokenSession } from './woken-session.js';

/** How long a peer may take to read the last line if there is no write timeout. */
const LAST_LINE_MS: Ms = 5_000;

/** The deadlines of a session. A base class, because they are checked with every request. */
export abstract class TimedSession extends WokenSession {
  /** When the line being read began (spec 1.5). */
  protected lineSince: Ms;
  protected blockedSince: Ms = 0;
  protected leaveAt: Ms = 0;
  private readonly readTimeoutMs: Ms;

  constructor(
    stream: Duplex,
    host: SessionHost,
    peer: string,
    protected state: SessionState,
  ) {
    super(stream, host, peer);
    this.readTimeoutMs = host.readTimeoutMs;
    this.lineSince = host.driver.clock.now();
  }

  protected to(event: SessionEvent): void {
    this.state = nextSessionState(this.state, event);
  }

  /** From then on, too many bytes behind a blocked command close the connection (spec 1.7). */
  protected get graceEnd(): Ms {
    return this.blockedSince + BLOCKED_GRACE_MS;
  }

  protected get isOpen(): boolean {
    return this.state === 'ready' || this.state === 'auth';
  }

  protected get lineDue(): Ms {
    return this.isOpen && !this.continued ? this.lineSince + this.readTimeoutMs : Infinity;
  }

  /** Makes sure that deadlines are checked by `due`. */
  protected lookBy(due: Ms): void {
    if (due === Infinity || (this.slot >= 0 && this.due <= due)) return;
    this.host.alarms.set(this, due);
  }

  /** When the last line must have been sent. @param delayMs 0: none @param writeTimeoutMs 0: none */
  protected lastLineDue(now: Ms, delayMs: Ms, writeTimeoutMs: Ms): Ms {
    return now + (delayMs || writeTimeoutMs || LAST_LINE_MS);
  }

  /** @param writeDue when the peer must have read what was written @param unread bytes that wait to be executed */
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
