import type { LockError } from '../../../common/errors.js';
import { afterMicrotasks, type Clock, microtask, type Ms, type Timer } from '../../../common/system.js';
import type { Session, Statement } from '../sessions/session.js';
import { type Asked, overdue } from './asked.js';
import { Batch, type BatchOf } from './batch.js';
import { BatchText } from './batch-text.js';
import { IdBook } from './id-book.js';
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
  /** Statements of callers that are unanswered, the oldest first. */
  private readonly queries = new Set<Query>();
  /** In flight, or being repaired: nothing else is tried or released meanwhile. */
  private batch: Batch | undefined;
  private isScheduled = false;
  /** Since when the batch has been unanswered, or since its callers were told that it is overdue. */
  private since: Ms = 0;
  private watch: Timer | undefined;
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
    this.outbox.push(asked);
    this.schedule();
  }

  /** Whether a try would be refused by the book whatever is asked before it. */
  isTaken(id: Parameters<IdBook['has']>[0]): boolean {
    return this.outbox.length === 0 && this.book.has(id);
  }

  /** When something was asked for last. */
  get usedAt(): Ms {
    return Math.max(this.since, this.askedAt);
  }

  /** It has something, or something is under way. */
  get isInUse(): boolean {
    return this.book.size > 0 || this.batch !== undefined || this.outbox.length > 0 || !this.session.isIdle;
  }

  /** A statement of the caller's own, between batches. It fails when its answer is overdue. */
  query(statement: Statement): void {
    const { clock, requestTimeoutMs } = this.context;
    this.askedAt = clock.now();
    const query = new Query(statement, this.askedAt, () => {
      this.queries.delete(query);
      this.tellQuiet();
    });
    this.queries.add(query);
    this.arm(requestTimeoutMs);
    this.send(query);
  }

  send(statement: Statement): void {
    this.counted.statements++;
    this.session.send(statement);
  }

  prove(done: (error?: LockError) => void): void {
    if (this.prover.prove(done, this.batch !== undefined)) this.arm(this.context.requestTimeoutMs);
  }

  /** Fails what is not a release. Calls back when nothing is on its way any more. */
  drain(error: LockError, quiet: () => void): void {
    this.giveUpTries(error);
    this.quiet = quiet;
    this.tellQuiet();
  }

  /** Releases what is held and nobody wants. */
  release(asked: Asked): void {
    this.ask(asked);
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
      this.since = this.context.clock.now();
      this.arm(this.context.requestTimeoutMs);
      this.counted.ops += sent.length;
      this.send(this.batch);
    }
    for (const asked of unsent) asked.unsent();
    this.tellQuiet();
  };

  private arm(delay: Ms): void {
    this.watch ??= this.context.clock.setTimer(this.look, delay);
  }

  /** One timer for all that is unanswered. It is not moved with each batch, but looks again when it is too early. */
  private readonly look = (): void => {
    this.watch = undefined;
    const rest = this.rest();
    if (rest === Infinity) return;
    if (rest > 0) return this.arm(rest);
    // The process may have stalled, with the answer in its buffers.
    this.context.clock.afterPoll(() => {
      if (this.watch || this.end) return;
      if (this.rest() <= 0) this.giveUp();
      const next = this.rest();
      if (next < Infinity) this.arm(next);
    });
  };

  /** How long the oldest that is unanswered may still take. */
  private rest(): Ms {
    const [oldest] = this.queries;
    const since = Math.min(this.batch ? this.since : Infinity, this.prover.since, oldest?.since ?? Infinity);
    return since + this.context.requestTimeoutMs - this.context.clock.now();
  }

  private giveUp(): void {
    const { session, context } = this;
    const error = overdue(session.server, context.requestTimeoutMs);
    this.since = context.clock.now();
    this.batch?.giveUp(error);
    this.giveUpTries(error);
    for (const asked of this.outbox) asked.giveUp(error);
    for (const query of [...this.queries]) query.giveUp(error);
    this.prover.giveUp(error);
    context.suspect(session);
  }

  private giveUpTries(error: LockError): void {
    const tries = this.outbox.filter(({ isRelease }) => !isRelease);
    this.outbox = this.outbox.filter(({ isRelease }) => isRelease);
    for (const asked of tries) asked.giveUp(error);
  }

  private drop(error: LockError): void {
    const { outbox } = this;
    this.outbox = [];
    for (const asked of outbox) asked.ended(error, false);
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
