import { type Alarm, type Alarms, newAlarm } from '../../../common/alarms.js';
import { type LockError, LockUnavailableError, ProtocolError } from '../../../common/errors.js';
import type { Clock, Ms } from '../../../common/system.js';
import type { Released } from '../../backend.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import type { Session, TextRow } from '../sessions/session.js';
import type { Commands } from './commands.js';
import type { GrantDelays } from './grant-delays.js';
import { overdue } from './overdue.js';
import { IGNORED, type Outcomes, PlainStatement } from './plain-statement.js';
import { Prover } from './prover.js';
import { choose, fenceOf, type Prepared, STATEMENTS } from './statements.js';
import type { WaitSession, WaitUser } from './wait-sessions.js';

/** What the sessions to wait on share. */
export interface WaitContext {
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly commands: Commands;
  readonly sessionTimeoutMs: Ms;
  readonly requestTimeoutMs: Ms;
  readonly counted: { cancels: number; confirms: number };
  readonly delays: GrantDelays;
  /** The server says what it cannot: a pooler is between, or we are wrong. */
  impaired(problem: string, server: string): void;
  waitBegins(connection: WaitConnection): void;
  waitEnds(connection: WaitConnection): void;
  /** It was given back. */
  freed(connection: WaitConnection): void;
  /** It has ended. `mayHold`: the server may not know yet, and keep a lock or a place for it. */
  over(connection: WaitConnection, mayHold: boolean): void;
}

/** `cleaning`: a wait or a release went wrong or was cancelled, and what it may have taken is being given back. */
type State = 'free' | 'waiting' | 'owning' | 'unlocking' | 'cleaning' | 'ended';

/** A wait that a cancel did not meet is cancelled again after this time. */
const REPEAT_MS: Ms = 20;
/** A cleaning that fails so often in a row is given up: the end of the session frees everything. */
const MAX_CLEANINGS = 5;

const valuesOf = (id: AdvisoryId): readonly unknown[] => (typeof id === 'bigint' ? [String(id)] : id);

export class WaitConnection implements WaitSession {
  private state: State = 'free';
  private user: WaitUser | undefined;
  private wait: PlainStatement | undefined;
  /** Nothing may be sent before the request to cancel is answered: it could hit the next statement. */
  private isCancelling = false;
  /** Who is told when it is cleaned up: the user whose wait failed, or whoever cancelled. */
  private cleaned: ((error?: LockError) => void) | undefined;
  private readonly deadline: Alarm = newAlarm(() => this.look());
  private readonly repetition: Alarm = newAlarm(() => this.requestCancel());
  private readonly channels = new Map<string, () => void>();
  private readonly prover: Prover;

  constructor(
    readonly session: Session,
    private readonly context: WaitContext,
  ) {
    const { clock, sessionTimeoutMs, counted } = context;
    this.prover = new Prover(session, clock, sessionTimeoutMs / 2, (statement) => {
      counted.confirms++;
      session.send(statement);
    });
    session.onNotice((channel) => this.channels.get(channel)?.());
    session.onEnd((error) => this.ended(error));
  }

  /** When the wait that blocks was sent. Undefined: none does. */
  get waitsSince(): Ms | undefined {
    return this.wait?.sentAt;
  }

  lock(id: AdvisoryId, user: WaitUser): void {
    this.require('free');
    this.block(choose(id, STATEMENTS.lock, STATEMENTS.lockPair), id, user);
  }

  unlockAndLock(id: AdvisoryId, user: WaitUser): void {
    this.require('owning');
    this.block(choose(id, STATEMENTS.unlockAndLock, STATEMENTS.unlockAndLockPair), id, user);
  }

  unlock(id: AdvisoryId, done: (outcome: Released) => void): void {
    if (this.state === 'ended') return done('gone');
    this.require('owning');
    this.become('unlocking');
    this.send(choose(id, STATEMENTS.unlock, STATEMENTS.unlockPair), valuesOf(id), {
      answered: (rows) => {
        const isReleased = rows[0]?.[0] === '1';
        this.become('free');
        if (!isReleased) this.impaired('released');
        done(isReleased ? 'released' : 'gone');
      },
      failed: () => this.clean(() => done('released')),
      ended: () => done('released'),
    });
  }

  cancel(done: () => void): void {
    const { state } = this;
    if (state === 'owning') return this.clean(done);
    if (state !== 'waiting' && state !== 'cleaning') return done();
    this.user = undefined;
    this.cleaned = done;
    if (state !== 'waiting') return;
    this.context.counted.cancels++;
    this.attend();
    this.requestCancel();
  }

  confirm(done: (error?: LockError) => void): void {
    this.prover.prove((error) => {
      this.attend();
      done(error);
    }, false);
    this.attend();
  }

  listen(channel: string, notified: () => void): void {
    this.channels.set(channel, notified);
    const listens = (): void => this.channels.get(channel)?.();
    this.send({ name: '', text: `listen "${channel}"` }, [], { ...IGNORED, answered: listens });
  }

  unlisten(channel: string): void {
    if (this.channels.delete(channel)) this.send({ name: '', text: `unlisten "${channel}"` }, [], IGNORED);
  }

  release(): void {
    if (this.state === 'ended') return;
    this.require('free');
    for (const channel of [...this.channels.keys()]) this.unlisten(channel);
    this.context.freed(this);
  }

  private block(statement: Prepared, id: AdvisoryId, user: WaitUser): void {
    this.user = user;
    this.wait = new PlainStatement(
      statement,
      valuesOf(id),
      {
        answered: (rows, sentAt) => this.waitAnswered(rows, sentAt),
        failed: (error) => this.waitFailed(error),
        ended: (error) => this.tell(error),
      },
      true,
    );
    if (this.state !== 'ended') {
      this.become('waiting');
      this.context.waitBegins(this);
    }
    this.session.send(this.wait);
  }

  private waitAnswered(rows: readonly TextRow[], sentAt: Ms): void {
    const fence = fenceOf(rows[0]?.[0] ?? '');
    if (fence === undefined) return this.waitFailed(this.impaired('handed on'));
    const { user, context } = this;
    // The session may have ended since, and its end may not have been read yet.
    if (context.delays.isLate(fence, context.clock.now())) this.prover.distrust();
    this.user = undefined;
    this.waitOver();
    // Granted and cancelled at the same time.
    if (!user) return this.becomeClean();
    this.become('owning');
    user.granted(fence, sentAt);
  }

  private waitFailed(error: LockError): void {
    const { user } = this;
    this.user = undefined;
    this.waitOver();
    if (user) this.cleaned = (end) => user.failed(end ?? error);
    this.becomeClean();
  }

  private waitOver(): void {
    this.wait = undefined;
    this.context.alarms.cancel(this.repetition);
    this.context.waitEnds(this);
  }

  private requestCancel(): void {
    const { context, session } = this;
    this.isCancelling = true;
    const unable = (): void => session.end(new LockUnavailableError('a wait could not be cancelled', session));
    context.commands.query(
      new PlainStatement(STATEMENTS.cancel, [session.pid, session.backendStart], {
        // Otherwise there is no such process.
        answered: (rows) => (rows[0]?.[0] === '1' ? this.cancelAnswered() : unable()),
        failed: unable,
        ended: unable,
      }),
    );
  }

  private cancelAnswered(): void {
    const { alarms, clock } = this.context;
    this.isCancelling = false;
    if (this.state === 'cleaning') this.becomeClean();
    // It may have reached the server before the wait did, where it then meets nothing.
    else if (this.state === 'waiting') alarms.set(this.repetition, clock.now() + REPEAT_MS);
  }

  private clean(done: () => void): void {
    this.cleaned = done;
    this.becomeClean();
  }

  /** A statement that failed or was cancelled may have taken the lock nevertheless. */
  private becomeClean(attempt = 1): void {
    this.become('cleaning');
    if (this.isCancelling) return;
    this.send(STATEMENTS.unlockAll, [], {
      answered: () => {
        this.become('free');
        this.tell();
      },
      failed: (error) => {
        if (attempt < MAX_CLEANINGS) return this.becomeClean(attempt + 1);
        this.session.end(error);
        this.tell(error);
      },
      ended: (error) => this.tell(error),
    });
  }

  /** The wait is over: whoever waits for that is told. */
  private tell(error?: LockError): void {
    const { user, cleaned } = this;
    this.user = undefined;
    this.cleaned = undefined;
    if (error) user?.failed(error);
    cleaned?.(error);
  }

  private send({ name, text }: Prepared, values: readonly unknown[], outcomes: Outcomes): void {
    this.session.send(new PlainStatement({ name, text }, values, outcomes));
  }

  private become(state: State): void {
    if (this.state === 'ended') return;
    this.state = state;
    this.attend();
  }

  /**
   * Sets the deadline anew, if an answer is due. A wait that nobody cancels may take as long as it likes. Whoever waits keeps the process
   * alive.
   */
  private attend(): void {
    const { alarms, clock, requestTimeoutMs } = this.context;
    const { isAnswerDue } = this;
    this.session.hold(isAnswerDue || this.state === 'waiting');
    if (isAnswerDue) alarms.set(this.deadline, clock.now() + requestTimeoutMs);
    else alarms.cancel(this.deadline);
  }

  private get isAnswerDue(): boolean {
    const { state } = this;
    if (state === 'ended') return false;
    const isGivenUp = state === 'waiting' && !this.user;
    return isGivenUp || state === 'unlocking' || state === 'cleaning' || this.prover.since < Infinity;
  }

  /** The process may have stalled, with the answer in its buffers. */
  private look(): void {
    const { context, session, deadline } = this;
    context.clock.afterPoll(() => {
      if (deadline.slot < 0 && this.isAnswerDue) session.end(overdue(session.server, context.requestTimeoutMs));
    });
  }

  private impaired(when: string): LockError {
    const { session, context } = this;
    const problem = `a lock was not held any more when it was ${when}`;
    context.impaired(problem, session.server);
    return new ProtocolError(problem, { server: session.server });
  }

  /** A second wait, or a release of something else, would be our mistake: nothing may be believed of this session then. */
  private require(state: State): void {
    const { session } = this;
    if (this.state === state || this.state === 'ended') return;
    session.end(new ProtocolError(`a session that is ${this.state} was used as if it were ${state}`, session));
  }

  /** What was sent is told by the session, after whoever owns its lock. */
  private ended(error: LockError): void {
    const { state, context } = this;
    if (state === 'waiting') this.waitOver();
    this.state = 'ended';
    this.attend();
    context.over(this, state !== 'free');
    // The wait has been answered, and the answer to its cancellation will not be waited for.
    if (state === 'cleaning' && this.isCancelling) this.tell(error);
  }
}
