import type { LockError, LossReason } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { Owner } from '../backend.js';
import type { Session } from './sessions/session.js';

/** A session as what its locks depend on. */
export class SessionOwner implements Owner {
  readonly id: string;

  constructor(readonly session: Session) {
    this.id = `${session.kind}#${session.pid}@${session.server}`;
  }

  provenUntil(): Ms {
    return this.session.isEnded ? -Infinity : this.session.provenUntil();
  }

  onLost(callback: (reason: LossReason, error?: Error) => void): () => void {
    return this.session.onEnd((error: LockError) => callback('disconnected', error));
  }
}

/** One owner for each session, as long as anybody knows the session. */
export class SessionOwners {
  private readonly bySession = new WeakMap<Session, SessionOwner>();
  /** Most grants are of the command session. */
  private last: SessionOwner | undefined;

  of(session: Session): SessionOwner {
    if (this.last?.session === session) return this.last;
    let owner = this.bySession.get(session);
    if (!owner) this.bySession.set(session, (owner = new SessionOwner(session)));
    if (session.kind === 'command') this.last = owner;
    return owner;
  }
}
