import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Statement, TextRow } from '../sessions/session.js';

/** A statement of a caller who is told once: what the server says, or that the answer is overdue. */
export class Query implements Statement {
  sentAt: Ms = NaN;
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
  private isOver = false;

  /** @param over called once nobody waits for the answer any more, after the caller was told */
  constructor(
    private readonly statement: Statement,
    readonly since: Ms,
    private readonly over: () => void,
  ) {
    const { name, text, values } = statement;
    this.name = name;
    this.text = text;
    this.values = values;
  }

  answered(rows: readonly TextRow[]): void {
    this.settle(() => this.statement.answered(rows));
  }

  failed(error: LockError, sqlState: string): void {
    this.settle(() => this.statement.failed(error, sqlState));
  }

  ended(error: LockError): void {
    this.settle(() => this.statement.ended(error));
  }

  giveUp(error: LockError): void {
    this.settle(() => this.statement.ended(error));
  }

  private settle(tell: () => void): void {
    if (this.isOver) return;
    this.isOver = true;
    tell();
    this.over();
  }
}
