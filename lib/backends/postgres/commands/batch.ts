import { type LockError, ProtocolError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Statement, TextRow } from '../sessions/session.js';
import type { Asked, AskedOf } from './asked.js';
import type { BatchText } from './batch-text.js';
import { giveUpOn, oldestOf } from './overdue.js';
import { PlainStatement } from './plain-statement.js';
import { STATEMENTS } from './statements.js';
import { Undo } from './undo.js';

/** A repair that fails so often in a row is given up: the end of the session frees everything. */
const MAX_REPAIRS = 5;

/** What a batch has to do with the session that it is sent on. */
export interface BatchOf extends AskedOf {
  /** It has been answered or repaired, and its callers have been told. */
  batchOver(): void;
  /** It failed, or a repair of it did. */
  batchFailed(error: LockError, sqlState: string): void;
  send(statement: Statement): void;
}

/** Ops that are run in one statement, in order. */
export class Batch implements Statement {
  sentAt: Ms = NaN;
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];

  /** @param asked what was added to `text` */
  constructor(
    private readonly of: BatchOf,
    private readonly asked: readonly Asked[],
    text: BatchText,
  ) {
    const { name, text: sql } = text.statement;
    this.name = name;
    this.text = sql;
    this.values = text.values;
  }

  answered(rows: readonly TextRow[]): void {
    const { of, asked, sentAt } = this;
    const answer = rows[0]?.[0] ?? '';
    const outcomes = asked.length === 1 ? [answer] : answer.split(',');
    let isSense = outcomes.length === asked.length;
    for (let i = 0; i < asked.length && isSense; i++) isSense = asked[i]!.answered(outcomes[i]!, of, sentAt);
    if (!isSense) this.endSession(new ProtocolError('Postgres answered a batch with something else'));
    else of.batchOver();
  }

  /** A statement that fails keeps the session locks that it took. */
  failed(error: LockError, sqlState: string): void {
    this.of.batchFailed(error, sqlState);
    this.repair(error, 1);
  }

  ended(error: LockError): void {
    for (const one of this.asked) one.ended(error);
    this.of.batchOver();
  }

  /** Since when the longest-standing of its callers waits. */
  get since(): Ms {
    return oldestOf(this.asked);
  }

  /** The answer is overdue for those that have waited since `before`, or for longer. */
  giveUp(error: LockError, before: Ms, now: Ms): void {
    giveUpOn(this.asked, error, before, now);
  }

  /** Gives back everything that the batch may have taken. The session had none of it before, by its book. */
  private repair(reason: LockError, attempt: number): void {
    const { of, asked } = this;
    const undo = new Undo();
    for (const one of asked) one.undo(undo);
    of.send(
      new PlainStatement(STATEMENTS.repair, undo.values, {
        answered: () => {
          for (const one of asked) one.undone(of, reason);
          of.batchOver();
        },
        failed: (error, sqlState) => {
          of.batchFailed(error, sqlState);
          if (attempt < MAX_REPAIRS) this.repair(reason, attempt + 1);
          else this.endSession(error);
        },
        ended: (error) => this.ended(error),
      }),
    );
  }

  private endSession(error: LockError): void {
    this.of.session.end(error);
    this.ended(error);
  }
}
