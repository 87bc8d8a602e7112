import type { LockError } from '../../../common/errors.js';
import { afterMicrotasks, type Clock, microtask, type Ms, type Timer } from '../../../common/system.js';
import type { Session, Statement } from '../sessions/session.js';
import type { Asked } from './asked.js';
import { Batch, type BatchOf } from './batch.js';
import { BatchText } from './batch-text.js';
import { IdBook } from './id-book.js';
import { giveUpOn, oldestOf, overdue } from './overdue.js';
import { Prover } from './prover.js';
import { Query } from './query.js';

/** [R] 1,000 tries take 1.2 ms of a server that does nothing else. */
const MAX_OPS = 500;

export interface CommandSessionContext {
  readonly clock: Clock;
  readonly sessionTimeoutMs: Ms;
  readonly requestTimeoutMs: Ms;
  suspect(session: Session): void;
  degraded(detail: string, error?: LockError): void;
  impaired(problem: string, server: string): void;
}

/** Numbers that outlive a session. */
export interface Counted {
  statements: number;
  ops: number;
  repairs: number;
}

/**
 * What is asked of one command session, from its start to its end. An op belongs to a session: none is ever sent on the next
 * one, where a release could free somebody else's lock.
 */
export class CommandSession implements BatchOf {
  readonly book = new IdBook();
  private readonly prover: Prover;
  private outbox: Asked[] = [];
  /** Statements of callers that are unanswered. */
  private readonly queries = new Set<Query>();
  /** In flight, or being repaired: nothing else is tried or released meanwhile. */
  private batch: Batch | undefined;
  private isScheduled = false;
  /** When an op was asked for last; those of one turn leave together, and the clock is read once for them. */
  private turnAt: Ms = 0;
  private watch: Timer | undefined;
  private watchAt: Ms = Infinity;
  private quiet: (() => void) | undefined;
  private askedAt: Ms;
  private end: LockError | undefined;

  constructor(
    readonly session: Session,
    private readonly context: CommandSessionContext,
    private readonly counted: Counted,
  ) {
    this.askedAt = context.clock.now();
    this.prover = new Prover(session, context.clock, context.sessionTimeoutMs / 3, (statement) => this.send(statement));
  }

  ask(asked: Asked): void {
    const { since } = asked;
    if (!this.isScheduled) this.turnAt = this.context.clock.now();
    asked.askedAt = since ?? this.turnAt;
    if (since !== undefined) this.watchFor(since);
    this.outbox.push(asked);
    this.schedule();
  }

  /** Whether a try would be refused by the book whatever is asked before it. */
  isTaken(id: Parameters<IdBook['has']>[0]): boolean {
    return this.outbox.length === 0 && this.book.has(id);
  }

  /** When something was asked for last. */
  get usedAt(): Ms {
    return Math.max(this.turnAt, this.askedAt);
  }

  /** It has something, or something is under way. */
  get isInUse(): boolean {
    return this.book.size > 0 || this.batch !== undefined || this.outbox.length > 0 || !this.session.isIdle;
  }

  /** A statement of the caller's own, between batches. It fails when its answer is overdue. */
  query(statement: Statement, since?: Ms): void {
    this.askedAt = this.context.clock.now();
    const query = new Query(statement, since ?? this.askedAt, () => {
      this.queries.delete(query);
      this.tellQuiet();
    });
    this.queries.add(query);
    this.watchFor(query.since);
    this.send(query);
  }

  send(statement: Statement): void {
    this.counted.statements++;
    this.session.send(statement);
  }

  prove(done: (error?: LockError) => void): void {
    if (this.prover.prove(done, this.batch !== undefined)) this.watchFor(this.prover.since);
  }

  /** Fails what is not a release. Calls back when nothing is on its way any more. */
  drain(error: LockError, quiet: () => void): void {
    const { outbox } = this;
    this.outbox = outbox.filter(({ isRelease }) => isRelease);
    for (const asked of outbox) if (!asked.isRelease) asked.unsent(error);
    this.quiet = quiet;
    this.tellQuiet();
  }

  impaired(problem: string): void {
    this.context.impaired(problem, this.session.server);
  }

  /**
   * The session has ended. Whoever owns a lock of it is told first: what was sent hears of it from the session, and the rest after
   * that.
   */
  ended(error: LockError): void {
    this.end = error;
    if (this.watch) this.context.clock.clearTimer(this.watch);
    this.watch = undefined;
  }

  batchOver(): void {
    this.batch = undefined;
    if (this.end) return this.drop(this.end);
    this.prover.answered();
    if (this.outbox.length > 0) return this.schedule();
    this.tellQuiet();
  }

  batchFailed(error: LockError, sqlState: string): void {
    this.counted.repairs++;
    if (sqlState === OUT_OF_MEMORY) this.context.degraded(LOCK_TABLE_FULL, error);
  }

  /** What is asked for in one turn leaves in one statement. */
  private schedule(): void {
    if (this.isScheduled || this.batch) return;
    this.isScheduled = true;
    microtask(this.flushLater);
  }

  /** After the callers that have just been answered have gone on, which takes them some microtasks. */
  private readonly flushLater = (): void => afterMicrotasks(this.flush);

  private readonly flush = (): void => {
    this.isScheduled = false;
    if (this.end) return this.drop(this.end);
    if (this.batch) return;
    const { outbox } = this;
    const text = new BatchText();
    const sent: Asked[] = [];
    const unsent: Asked[] = [];
    let taken = 0;
    for (; taken < outbox.length && sent.length < MAX_OPS; taken++) {
      const asked = outbox[taken]!;
      (asked.add(text, this) ? sent : unsent).push(asked);
    }
    this.outbox = taken < outbox.length ? outbox.slice(taken) : [];
    if (sent.length > 0) {
      this.batch = new Batch(this, sent, text);
      this.watchFor(this.turnAt);
      this.counted.ops += sent.length;
      this.send(this.batch);
    }
    for (const asked of unsent) asked.unsent();
    this.tellQuiet();
  };

  /** Somebody has waited since then. One timer does for all: it is not moved with each batch, but looks again when it is too early. */
  private watchFor(since: Ms): void {
    const { clock, requestTimeoutMs } = this.context;
    const due = since + requestTimeoutMs;
    if (this.watch) {
      if (this.watchAt <= due) return;
      clock.clearTimer(this.watch);
    }
    this.watchAt = due;
    this.watch = clock.setTimer(this.look, Math.max(due - clock.now(), 0));
  }

  private readonly look = (): void => {
    this.watch = undefined;
    const { clock, requestTimeoutMs } = this.context;
    const since = this.oldest();
    if (since === Infinity) return;
    if (since + requestTimeoutMs > clock.now()) return this.watchFor(since);
    // The process may have stalled, with the answer in its buffers.
    clock.afterPoll(() => {
      if (this.end) return;
      this.giveUp();
      const next = this.oldest();
      if (next < Infinity) this.watchFor(next);
    });
  };

  /** Since when the caller waits who has waited for longest. */
  private oldest(): Ms {
    let oldest = Math.min(this.prover.since, oldestOf(this.outbox), this.batch?.since ?? Infinity);
    for (const { since } of this.queries) oldest = Math.min(oldest, since);
    return oldest;
  }

  /** Tells those who have waited for too long; all, if the server has not answered what was sent so long ago. */
  private giveUp(): void {
    const { session, context, batch, outbox, prover } = this;
    const { requestTimeoutMs } = context;
    const now = context.clock.now();
    const oldest = this.oldest();
    // As `look` sees it: rounded, the sum may be due although the difference is not.
    const latest = oldest + requestTimeoutMs <= now ? Math.max(now - requestTimeoutMs, oldest) : now - requestTimeoutMs;
    const queries = [...this.queries];
    const isSilent =
      (batch && batch.sentAt <= latest) || prover.since <= latest || queries.some(({ sentAt }) => sentAt <= latest);
    const before = isSilent ? now : latest;
    if (oldest > before) return;
    const error = overdue(session.server, requestTimeoutMs);
    const isDue = ({ isRelease, askedAt }: Asked): boolean => !isRelease && askedAt <= before;
    this.outbox = outbox.filter((asked) => !isDue(asked));
    batch?.giveUp(error, before, now);
    for (const asked of outbox) if (isDue(asked)) asked.unsent(error);
    const releases = outbox.filter(({ isRelease }) => isRelease);
    giveUpOn(releases, error, before, now);
    for (const query of queries) if (query.since <= before) query.giveUp(error);
    if (prover.since <= before) prover.giveUp(error);
    if (isSilent) context.suspect(session);
  }

  private drop(error: LockError): void {
    const { outbox } = this;
    this.outbox = [];
    for (const asked of outbox) asked.unsent(error);
    this.prover.end(error);
    this.tellQuiet();
  }

  /** Whoever closes goes on when nothing is on its way. */
  private tellQuiet(): void {
    const { quiet } = this;
    if (!quiet || (!this.end && (this.batch || this.outbox.length > 0 || this.queries.size > 0))) return;
    this.quiet = undefined;
    quiet();
  }
}

const OUT_OF_MEMORY = '53200';
const LOCK_TABLE_FULL =
  'the lock table of the server is full: raise its max_locks_per_transaction, or lower the option postgresBackend.maxHeld';
