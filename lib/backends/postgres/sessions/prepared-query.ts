import { afterMicrotasks } from '../../../common/system.js';
import type { PgCallback, PgQuery, PgWire } from './pg-client.js';

type Row = readonly (string | null)[];

/**
 * A prepared statement, as pg takes query objects of other packages. Its own query asks the server to describe each result and makes
 * parsers from the answer; here every value is text, so neither is needed.
 */
export class PreparedQuery implements PgQuery {
  readonly rows: Row[] = [];

  constructor(
    readonly name: string,
    readonly text: string,
    readonly values: readonly unknown[],
    readonly callback: PgCallback,
  ) {}

  /**
   * Called by pg once the connection is ready. All messages leave in one write, except with pg 8.0: it reuses the buffer of a message
   * for the next one, so that each must be written at once.
   */
  submit(wire: PgWire): null {
    const { name, text, values } = this;
    const stream = wire.writer === undefined ? wire.stream : {};
    stream.cork?.();
    try {
      // pg writes down what the server has parsed.
      if (wire.parsedStatements[name] !== text) wire.parse({ name, text });
      wire.bind({ statement: name, values: values.map(String) });
      wire.execute({});
      wire.sync();
    } finally {
      stream.uncork?.();
    }
    return null;
  }

  handleDataRow({ fields }: { readonly fields: Row }): void {
    this.rows.push(fields);
  }

  handleReadyForQuery(): void {
    this.tell(null);
  }

  /** The server skips the rest up to the sync, which has been sent. */
  handleError(error: unknown): void {
    this.tell(error);
  }

  handleRowDescription(): void {
    // Not asked for.
  }

  handleCommandComplete(): void {
    // The answer is complete once the server is ready.
  }

  handleEmptyQuery(): void {
    // No statement is empty.
  }

  handlePortalSuspended(): void {
    // All rows are asked for.
  }

  /** An exception must not reach pg in the middle of its input. */
  private tell(error: unknown): void {
    try {
      this.callback(error, this);
    } catch (cause) {
      afterMicrotasks(() => {
        throw cause;
      });
    }
  }
}
