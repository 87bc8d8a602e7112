import { EventEmitter } from 'node:events';
import type {
  PgClient,
  PgNotification,
  PgParameters,
  PgQuery,
} from '../../../../../lib/backends/postgres/sessions/pg-client.js';

/** An error as the server sends it. */
export const serverError = (code: string, message = `error ${code}`): Error =>
  Object.assign(new Error(message), { code, severity: 'ERROR', name: 'error' });

/** A client of pg whose server says what the test says. Refuses what pg would queue: a statement before it is ready. */
export class ScriptedClient extends EventEmitter implements PgClient {
  readonly host: string | undefined = 'db';
  readonly port = 5432;
  readonly database: string | undefined = 'app';
  processID: number | null = 11;
  readonly connectionParameters: PgParameters = { options: '', query_timeout: 5, statement_timeout: 6 };
  readonly sent: PgQuery[] = [];
  /** What became of the socket. */
  readonly socket: string[] = [];
  readonly connection = {
    stream: {
      destroy: (): void => void this.socket.push('destroy'),
      destroySoon: (): void => void this.socket.push('destroySoon'),
      ref: (): void => void this.socket.push('ref'),
      unref: (): void => void this.socket.push('unref'),
    },
  };
  connected: ((error?: Error | null) => void) | undefined;
  private running: PgQuery | undefined;
  private isReady = true;

  connect(callback: (error?: Error | null) => void): void {
    this.connected = callback;
  }

  query(query: PgQuery): void {
    if (!this.isReady) throw new Error(`"${query.text}" was sent before pg was ready`);
    this.isReady = false;
    this.running = query;
    this.sent.push(query);
    this.emit('sent', query);
  }

  end(callback: () => void): void {
    this.socket.push('end');
    callback();
  }

  get isBusy(): boolean {
    return this.running !== undefined;
  }

  /** The texts of what was sent. */
  get texts(): string[] {
    return this.sent.map(({ text }) => text);
  }

  answer(...rows: (readonly (string | null)[])[]): void {
    const query = this.take();
    this.isReady = true;
    query.callback(null, { rows });
  }

  /** As pg does: the error first, and later that the next statement may come. */
  refuse(code: string, message?: string): void {
    this.error(code, message);
    this.ready();
  }

  error(code: string, message?: string): void {
    this.take().callback(serverError(code, message), { rows: [] });
  }

  ready(): void {
    this.isReady = true;
    this.emit('drain');
  }

  notify(message: PgNotification): void {
    this.emit('notification', message);
  }

  private take(): PgQuery {
    const query = this.running;
    if (!query) throw new Error('nothing is running');
    this.running = undefined;
    return query;
  }
}
