import type { LockError } from '../../../common/errors.js';
import type { Clock, Ms, Timer } from '../../../common/system.js';
import type { PgClient } from './pg-client.js';
import type { PgSession } from './pg-session.js';

/** An attempt to make one session or two. Whatever it has opened is closed when it fails. */
export class Attempt {
  /** What made it fail: a session that it closed says only that it has ended. */
  failure: LockError | undefined;
  private readonly sessions = new Set<PgSession>();
  private connecting: ((error: LockError) => void) | undefined;
  private readonly timer: Timer;

  /** @param isAwaited somebody waits for it: it keeps the process alive */
  constructor(
    private readonly clock: Clock,
    timeoutMs: Ms,
    isAwaited: boolean,
    tooLate: () => LockError,
  ) {
    const expire = (): void => this.abort(tooLate());
    this.timer = clock.setTimer(() => clock.afterPoll(expire), timeoutMs, isAwaited);
  }

  /** Connects a client of pg. Rejects with what pg or the server says. */
  connect(client: PgClient): Promise<void> {
    return new Promise((resolve, reject) => {
      let isSettled = false;
      const settle = (error?: Error | null): void => {
        if (isSettled) return;
        isSettled = true;
        this.connecting = undefined;
        if (error === undefined || error === null) return resolve();
        // After some errors, pg leaves the socket open.
        client.connection.stream.destroy();
        reject(error);
      };
      if (this.failure) return settle(this.failure);
      this.connecting = settle;
      // It may emit errors as long as it lives, and they must have a listener.
      client.on('error', settle);
      client.connect(settle);
      client.connection.stream.unref?.();
    });
  }

  /** Closed unless it is kept. */
  add(session: PgSession): PgSession {
    if (this.failure) session.end(this.failure);
    else this.sessions.add(session);
    return session;
  }

  keep(...sessions: readonly (PgSession | undefined)[]): void {
    for (const session of sessions) if (session) this.sessions.delete(session);
  }

  /** The first reason counts. */
  abort(error: LockError): void {
    this.failure ??= error;
    this.connecting?.(error);
    this.end(error);
  }

  finish(error: LockError): void {
    this.end(error);
  }

  private end(error: LockError): void {
    this.clock.clearTimer(this.timer);
    for (const session of this.sessions) session.end(error);
    this.sessions.clear();
  }
}
