import type { LockError } from '../../../common/errors.js';
import { microtask, type Ms } from '../../../common/system.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import { type Answer, type Prepared, Question } from '../sessions/question.js';
import type { Statement } from '../sessions/session.js';
import { rowId } from './statements.js';

/** Where statements are run, in whatever session. */
export interface StatementRunner {
  /** @param since when its caller began to wait. Default: now */
  query(statement: Statement, since?: Ms): void;
}

/** Is told, once, whether an id is kept. Must not throw. */
export interface Looker {
  readonly id: AdvisoryId;
  /** When its caller began to wait. Undefined: now. */
  readonly since?: Ms | undefined;
  /** @param restMs for how long it is kept yet; 0: it is not */
  looked(restMs: Ms): void;
  /** Nobody knows. */
  lookFailed(error: LockError): void;
}

/**
 * Looks for kept ids, those of one turn with one statement. It must be a statement of its own after the grant: the one
 * that takes a lock reads rows as they were before its wait.
 */
export class Looks {
  private waiting: Looker[] = [];

  constructor(
    private readonly runner: StatementRunner,
    private readonly statement: Prepared,
    private readonly errorOf: (answer: Answer) => LockError,
  ) {}

  add(looker: Looker): void {
    if (this.waiting.push(looker) === 1) microtask(this.send);
  }

  private readonly send = (): void => {
    const lookers = this.waiting;
    this.waiting = [];
    const ids = `{${lookers.map(({ id }) => rowId(id)).join()}}`;
    let oldest: Ms | undefined;
    for (const { since } of lookers) if (since !== undefined && !(oldest! <= since)) oldest = since;
    this.runner.query(new Question(this.statement, [ids], (answer) => this.tell(lookers, answer)), oldest);
  };

  private tell(lookers: readonly Looker[], answer: Answer): void {
    if (!answer.rows) {
      const error = this.errorOf(answer);
      for (const looker of lookers) looker.lookFailed(error);
      return;
    }
    const rests = new Map(answer.rows.map(([id, restMs]) => [id, Math.max(Number(restMs), 1)]));
    for (const looker of lookers) looker.looked(rests.size === 0 ? 0 : (rests.get(`${rowId(looker.id)}`) ?? 0));
  }
}
