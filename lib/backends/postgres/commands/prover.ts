import type { LockError } from '../../../common/errors.js';
import type { Clock, Ms } from '../../../common/system.js';
import type { Session, Statement } from '../sessions/session.js';
import { PlainStatement } from './plain-statement.js';
import { STATEMENTS } from './statements.js';

type Proved = (error?: LockError) => void;

/** Answers any number of questions whether a session lives by one statement. */
export class Prover {
  private waiting: Proved[] = [];
  /** Since when somebody waits. Infinity: nobody does. */
  since: Ms = Infinity;
  private isAsking = false;
  /** What was sent before proves nothing. */
  private from: Ms = -Infinity;

  /** @param freshMs how old a proof may be that answers at once */
  constructor(
    private readonly session: Session,
    private readonly clock: Clock,
    private readonly freshMs: Ms,
    private readonly send: (statement: Statement) => void,
  ) {}

  /**
   * @param isAnswerDue the answer to another statement is on its way
   * @returns whether it waits for an answer
   */
  prove(done: Proved, isAnswerDue: boolean): boolean {
    if (this.isFresh()) {
      done();
      return false;
    }
    if (this.waiting.push(done) === 1) this.since = this.clock.now();
    if (!isAnswerDue) this.ask();
    return true;
  }

  /** From now on, only a statement that is yet to be sent proves anything. */
  distrust(): void {
    this.from = this.clock.now();
  }

  /** A statement was answered. If it was sent too early, another one asks. */
  answered(): void {
    if (this.waiting.length === 0) return;
    if (this.isFresh()) this.tell(undefined);
    else this.ask();
  }

  giveUp(error: LockError): void {
    this.tell(error);
  }

  end(error: LockError): void {
    this.tell(error);
  }

  private isFresh(): boolean {
    const { session, clock, freshMs } = this;
    return !session.isEnded && session.provenAt >= Math.max(clock.now() - freshMs, this.from);
  }

  private ask(): void {
    if (this.isAsking) return;
    this.isAsking = true;
    const over = (): void => {
      this.isAsking = false;
      this.answered();
    };
    this.send(
      new PlainStatement(STATEMENTS.prove, [], { answered: over, failed: over, ended: (error) => this.end(error) }),
    );
  }

  private tell(error: LockError | undefined): void {
    const { waiting } = this;
    this.waiting = [];
    this.since = Infinity;
    for (const done of waiting) done(error);
  }
}
