import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Statement, TextRow } from '../sessions/session.js';
import type { Prepared } from './statements.js';

/** What becomes of a statement. `failed` and `ended` are left to `over` where they make no difference. */
export interface Outcomes {
  answered(rows: readonly TextRow[], sentAt: Ms): void;
  failed(error: LockError, sqlState: string): void;
  ended(error: LockError): void;
}

/** A prepared statement whose outcome goes to callbacks. */
export class PlainStatement implements Statement {
  sentAt: Ms = NaN;
  readonly name: string;
  readonly text: string;

  constructor(
    { name, text }: Prepared,
    readonly values: readonly unknown[],
    private readonly outcomes: Outcomes,
    readonly waits = false,
  ) {
    this.name = name;
    this.text = text;
  }

  answered(rows: readonly TextRow[]): void {
    this.outcomes.answered(rows, this.sentAt);
  }

  failed(error: LockError, sqlState: string): void {
    this.outcomes.failed(error, sqlState);
  }

  ended(error: LockError): void {
    this.outcomes.ended(error);
  }
}

/** Of a statement whose outcome nobody waits for. */
export const IGNORED: Outcomes = { answered: () => undefined, failed: () => undefined, ended: () => undefined };
