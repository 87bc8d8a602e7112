/** What is used of the objects of `pg`: their types would make it a dependency. */

export type PgCallback = (error: unknown, result: { readonly rows: readonly (readonly (string | null)[])[] }) => void;

/** What pg takes as a query. */
export interface PgQuery {
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
  readonly callback: PgCallback;
}

/** A query that pg makes its own of, with parsers that leave text as it is. */
export interface PgQueryConfig extends PgQuery {
  readonly rowMode: 'array';
  readonly types: { getTypeParser(oid?: number, format?: string): (text: string) => string };
}

/** The connection of a client, for a query that writes its messages itself. */
export interface PgWire {
  readonly stream: { cork?(): void; uncork?(): void };
  /** Of pg 8.0 only: what it puts messages into. */
  readonly writer?: unknown;
  /** The texts of the statements that the server has parsed, by name. */
  readonly parsedStatements: Readonly<Record<string, string | undefined>>;
  parse(message: { readonly name: string; readonly text: string }): void;
  bind(message: { readonly statement: string; readonly values: readonly string[] }): void;
  execute(message: object): void;
  sync(): void;
}

/** The socket, or what stands in for it. Only `destroy` is always there. */
export interface PgStream {
  destroy(): void;
  destroySoon?(): void;
  ref?(): void;
  unref?(): void;
  on?(event: 'end', listener: () => void): unknown;
}

export interface PgNotification {
  readonly channel: string;
  readonly payload?: string | undefined;
}

/** What the startup message says. pg reads it when it connects. */
export interface PgParameters {
  options?: unknown;
  application_name?: unknown;
  [name: string]: unknown;
}

/** A `Client` of pg. */
export interface PgClient {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly database?: string | undefined;
  /** As the server, or a pooler, said it when it was connected. */
  readonly processID?: number | null | undefined;
  readonly connectionParameters: PgParameters;
  /** The stream is another one once TLS is established. */
  readonly connection: { readonly stream: PgStream };
  binary?: unknown;
  connect(callback: (error?: Error | null) => void): void;
  query(query: PgQuery): unknown;
  end(callback: () => void): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end' | 'drain', listener: () => void): unknown;
  on(event: 'notification', listener: (message: PgNotification) => void): unknown;
}

export type PgClientClass = new (config: object) => PgClient;
