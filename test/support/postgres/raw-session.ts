import type pg from 'pg';
import { LockUnavailableError, ProtocolError } from '../../../lib/common/errors.js';
import type { Statement, TextRow } from '../../../lib/backends/postgres/sessions/session.js';

/** What the statements of lib need of a session, on a plain client of pg. */
export class RawSession {
  /** The texts of what was sent. */
  readonly sent: string[] = [];
  /** Resolves when everything that was sent has been answered. */
  last: Promise<void> = Promise.resolve();

  constructor(readonly client: pg.Client) {}

  /** As the command connection: it is a session and runs statements. */
  readonly query = (statement: Statement): void => this.send(statement);

  send(statement: Statement): void {
    const { name, text, values } = statement;
    this.sent.push(text);
    const config = { name, text, values, rowMode: 'array', types: { getTypeParser: () => String } };
    const run = (): Promise<void> =>
      this.client.query(config as unknown as pg.QueryConfig).then(
        ({ rows }) => statement.answered(rows as unknown as TextRow[]),
        (error: pg.DatabaseError) => {
          if (!('severity' in error) || error.code?.startsWith('57P'))
            statement.ended(new LockUnavailableError(error.message));
          else statement.failed(new ProtocolError(error.message), error.code ?? '');
        },
      );
    this.last = this.last.then(run);
  }
}
