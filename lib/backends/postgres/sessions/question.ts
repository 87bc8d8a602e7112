import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Statement, TextRow } from './session.js';

/** The text of a prepared statement, and its name. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
}

/** What came of a statement: its rows, or why there are none, and the SQLSTATE if the server refused it. */
export interface Answer {
  readonly rows?: readonly TextRow[];
  readonly error?: LockError;
  readonly sqlState?: string;
}

/** A statement with one callback for all outcomes. */
export class Question implements Statement {
  readonly name: string;
  readonly text: string;
  sentAt: Ms = -Infinity;

  constructor(
    { name, text }: Prepared,
    readonly values: readonly unknown[],
    private readonly done: (answer: Answer) => void,
  ) {
    this.name = name;
    this.text = text;
  }

  answered(rows: readonly TextRow[]): void {
    this.done({ rows });
  }

  failed(error: LockError, sqlState: string): void {
    this.done({ error, sqlState });
  }

  ended(error: LockError): void {
    this.done({ error });
  }
}
