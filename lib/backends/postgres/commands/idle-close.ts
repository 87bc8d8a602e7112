import { type LockError, LockUnavailableError } from '../../../common/errors.js';
import type { Clock, Ms, Timer } from '../../../common/system.js';
import type { CommandSession } from './command-session.js';

/** What is asked for while the session is closed: it waits for the next one. */
export interface Later {
  ask(current: CommandSession): void;
  failed(error: LockError): void;
}

/**
 * Closes the command session once it has not been needed for a while (`idleCloseMs`), for databases that sleep when nobody uses
 * them: heartbeats would keep them awake. That is no outage: whatever is asked for connects again.
 */
export class IdleClose {
  private waiting: Later[] | undefined;
  private timer: Timer | undefined;
  private readonly needs: (() => boolean)[] = [];

  /** @param idleMs 0: never */
  constructor(
    private readonly clock: Clock,
    private readonly idleMs: Ms,
  ) {}

  /** The session was closed, and nothing has connected since. */
  get isClosed(): boolean {
    return this.waiting !== undefined;
  }

  /** @param isNeeded whether somebody may need the session, although he has not asked for anything of late */
  neededBy(isNeeded: () => boolean): void {
    this.needs.push(isNeeded);
  }

  /** @returns false if the session was not closed: then there is no other one to wait for */
  add(later: Later): boolean {
    return this.waiting !== undefined && this.waiting.push(later) > 0;
  }

  /** There is a session. */
  opened(current: CommandSession): void {
    const waiting = this.takeAll();
    this.stop();
    if (this.idleMs > 0) this.watch(current, this.idleMs);
    for (const later of waiting) later.ask(current);
  }

  /** There will be none for now. */
  failed(error: LockError): void {
    for (const later of this.takeAll()) later.failed(error);
  }

  /** The session has ended. */
  stop(): void {
    if (this.timer) this.clock.clearTimer(this.timer);
    this.timer = undefined;
  }

  private takeAll(): readonly Later[] {
    const { waiting = [] } = this;
    this.waiting = undefined;
    return waiting;
  }

  private watch(current: CommandSession, delay: Ms): void {
    this.timer = this.clock.setTimer(() => {
      this.timer = undefined;
      const rest = current.usedAt + this.idleMs - this.clock.now();
      if (current.isInUse || this.needs.some((isNeeded) => isNeeded())) return this.watch(current, this.idleMs);
      if (rest > 0) return this.watch(current, rest);
      this.waiting = [];
      current.session.end(new LockUnavailableError('closed because it was idle', { server: current.session.server }));
    }, delay);
  }
}
