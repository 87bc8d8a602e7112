import type { SqlTransaction } from '../../../../lib/sql/recognise.js';

export type Rows = readonly Record<string, unknown>[];

/** A transaction as the library gives it, and how a user runs SQL in it. */
export interface Inside<T extends SqlTransaction = SqlTransaction> {
  readonly tx: T;
  query(text: string): Promise<Rows>;
}

/** A library with a pool, connected to a server. */
export interface Connected {
  /** Runs the body in a transaction, which is rolled back if the body fails. */
  transaction<T>(body: (inside: Inside) => Promise<T>, isolation?: 'serializable'): Promise<T>;
  /** What users may give by mistake: nothing of it is in a transaction. */
  readonly outside: Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

export interface Library {
  readonly name: string;
  connect(url: string, maxConnections: number): Promise<Connected>;
}
