import type { LockError } from '../../../common/errors.js';
import type { Session } from '../sessions/session.js';

type Up = (session: Session, isFirst: boolean) => void;
type Failed = (error: LockError) => void;
type Degraded = (detail: string, error?: LockError) => void;

/** Whom the command connection tells about its sessions. */
export abstract class CommandListeners {
  private readonly up: Up[] = [];
  private readonly down: Failed[] = [];
  private readonly fatal: Failed[] = [];
  private readonly suspect: ((session: Session) => void)[] = [];
  private readonly degraded: Degraded[] = [];
  private readonly spare: ((session: Session) => void)[] = [];

  protected readonly tell = {
    up: toAll(this.up),
    down: toAll(this.down),
    fatal: toAll(this.fatal),
    suspect: toAll(this.suspect),
    degraded: toAll(this.degraded),
    spare: toAll(this.spare),
  };

  onUp(callback: Up): void {
    this.up.push(callback);
  }

  onDown(callback: Failed): void {
    this.down.push(callback);
  }

  onFatal(callback: Failed): void {
    this.fatal.push(callback);
  }

  onSuspect(callback: (session: Session) => void): void {
    this.suspect.push(callback);
  }

  onDegraded(callback: Degraded): void {
    this.degraded.push(callback);
  }

  /** The second session that the dialer made when it started. */
  onSpare(callback: (session: Session) => void): void {
    this.spare.push(callback);
  }
}

const toAll =
  <A extends unknown[]>(callbacks: readonly ((...args: A) => void)[]) =>
  (...args: A): void => {
    for (const callback of callbacks) callback(...args);
  };
