import type { LockError } from '../../../common/errors.js';
import { impossible, type Transitions } from '../../../common/transitions.js';
import type { Ms } from '../../../common/system.js';
import type { Released } from '../../backend.js';
import type { WaitSession, WaitSessions, WaitUser } from '../commands/wait-sessions.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import type { KeptHolds } from '../keep/kept-holds.js';
import type { Session } from '../sessions/session.js';

/**
 * fetching: waiting for a session. waiting: in the server's queue. confirming: granted, but it may be kept, or the answer may be old. owning: its session
 * has the lock. over.
 */
export type PlaceState = 'fetching' | 'waiting' | 'confirming' | 'owning' | 'over';
export type PlaceEvent = 'ask' | 'grant' | 'confirm' | 'end';

const TABLE: Transitions<PlaceState, PlaceEvent> = {
  fetching: { ask: 'waiting', end: 'over' },
  waiting: { grant: 'confirming', end: 'over' },
  confirming: { confirm: 'owning', end: 'over' },
  owning: { ask: 'waiting', end: 'over' },
  over: {},
};

/** Makes every transition. A transition that is not in the table is a bug in the caller. */
export const nextPlaceState = (state: PlaceState, event: PlaceEvent): PlaceState =>
  TABLE[state][event] ?? impossible('a place', state, event);

export interface PlaceHost {
  /** What places wait for. */
  readonly placeId: AdvisoryId;
  /** Where what places wait for may be kept after its release. Undefined: nowhere. */
  readonly kept?: KeptHolds | undefined;
  /** The place is in the server's queue. */
  asked(place: Place): void;
  /**
   * The place neither has nor will take anything. Called once for each place: as soon as it is over, or later if
   * something is still to be released.
   */
  freed(place: Place): void;
  /** The session of the place has the lock, and has just been proven to live. */
  owned(place: Place, fence: bigint): void;
  /** Over: there is no session for the place. */
  denied(place: Place): void;
  /** Over: the place was lost before it had the lock. */
  failed(place: Place, error: LockError): void;
  /** Over: the session has ended, and the lock is lost. */
  lost(place: Place, error: LockError): void;
}

/** A place in the server's queue, on a session of its own. It belongs to the key, not to a waiter. */
export class Place implements WaitUser {
  state: PlaceState = 'fetching';
  /** The session on which it waits. */
  private wait: WaitSession | undefined;
  private stopFetching: (() => void) | undefined;
  private stopListening: (() => void) | undefined;
  /** Set while the session has the lock but somebody's minimum hold has not ended. */
  private waitingOut: (() => void) | undefined;

  /** @param room the number of locks that the place counts for: the one it waits for, and those it will take besides */
  constructor(
    private readonly host: PlaceHost,
    public room = 1,
  ) {}

  get isOver(): boolean {
    return this.state === 'over';
  }

  /** The session of a place that waits or owns. */
  get session(): Session {
    return this.wait!.session;
  }

  /** What else the owner needs on this session: the notifications of a semaphore. */
  get waitSession(): WaitSession {
    return this.wait!;
  }

  open(sessions: WaitSessions): void {
    const stop = sessions.take((wait, error) => {
      this.stopFetching = undefined;
      if (this.isOver) return wait?.release();
      if (wait) {
        this.wait = wait;
        return this.ask((id) => wait.lock(id, this));
      }
      if (error) return this.lose(error);
      this.to('end');
      this.host.freed(this);
      this.host.denied(this);
    });
    if (this.state === 'fetching') this.stopFetching = stop;
  }

  /** Releases the lock and enters the server's queue again, at its end. */
  again(): void {
    this.unlisten();
    this.ask((id) => this.wait!.unlockAndLock(id, this));
  }

  /** Releases the lock and gives the session back. */
  leave(done: (outcome: Released) => void): void {
    const wait = this.wait!;
    this.unlisten();
    this.to('end');
    wait.unlock(this.host.placeId, (outcome) => {
      this.freeSession();
      done(outcome);
    });
  }

  /** Ends a place that is no longer needed. */
  cancel(): void {
    const { state, wait } = this;
    this.unlisten();
    this.to('end');
    if (state === 'fetching') {
      this.stopFetching?.();
      return this.host.freed(this);
    }
    this.stopWaitingOut();
    this.unlisten();
    if (state === 'waiting') wait!.cancel(() => this.freeSession());
    else this.unlock();
  }

  /** Finds out whether the session that has the lock is alive. */
  confirm(done: (error?: LockError) => void): void {
    this.wait!.confirm(done);
  }

  /** WaitUser. While a minimum hold lasts, the grant is not passed on. The order in the server's queue stays. */
  granted(fence: bigint, _sentAt: Ms): void {
    if (this.state !== 'waiting') return;
    this.to('grant');
    const { kept, placeId } = this.host;
    if (!kept) return this.prove(fence);
    this.stopListening = this.session.onEnd((end) => {
      this.stopWaitingOut();
      this.lose(end);
    });
    this.waitingOut = kept.waitOut(placeId, (error) => {
      this.waitingOut = undefined;
      this.unlisten();
      if (!error) return this.prove(fence);
      this.to('end');
      this.unlock();
      this.host.failed(this, error);
    });
  }

  /** After a long wait the answer proves little (rule 2). */
  private prove(fence: bigint): void {
    const wait = this.wait!;
    wait.confirm((error) => {
      if (this.state !== 'confirming') return;
      if (error) return this.lose(error);
      this.to('confirm');
      this.stopListening = wait.session.onEnd((end) => {
        this.to('end');
        this.host.freed(this);
        this.host.lost(this, end);
      });
      this.host.owned(this, fence);
    });
  }

  /** WaitUser */
  failed(error: LockError): void {
    if (this.isOver) return;
    this.to('end');
    this.freeSession();
    this.host.failed(this, error);
  }

  private ask(send: (id: AdvisoryId) => void): void {
    this.to('ask');
    send(this.host.placeId);
    if (this.state === 'waiting') this.host.asked(this);
  }

  /** The place is over, and the server has nothing of it. */
  private lose(error: LockError): void {
    this.to('end');
    this.host.freed(this);
    this.host.failed(this, error);
  }

  private unlock(): void {
    this.wait!.unlock(this.host.placeId, () => this.freeSession());
  }

  /** The session has no lock any more, or has ended. */
  private freeSession(): void {
    this.host.freed(this);
    if (!this.wait!.session.isEnded) this.wait!.release();
  }

  private stopWaitingOut(): void {
    this.waitingOut?.();
    this.waitingOut = undefined;
  }

  private unlisten(): void {
    this.stopListening?.();
    this.stopListening = undefined;
  }

  private to(event: PlaceEvent): void {
    this.state = nextPlaceState(this.state, event);
  }
}
