import { EventEmitter } from 'node:events';
import { brand } from '../../common/brand.js';
import { microtask } from '../../common/system.js';
import { LockdServer as Server } from '../../daemon/lockd/lockd-server.js';
import { listenConfig, type LockdListenOptions } from './options.js';
import { type LockdCallback, outcome } from './outcome.js';

/**
 * A server for clients of lockd, with locks of its own.
 *
 * Events: `ready` when it listens; `error` if it cannot, with a ConfigError; none of them after `close` or `destroy`.
 */
export class LockdServer extends EventEmitter {
  readonly #server: Server;
  #isClosed = false;

  /** @throws ConfigError for a wrong option */
  constructor(options: LockdListenOptions) {
    super();
    this.#server = new Server(listenConfig(options));
    void this.#server.listen().then(
      () => this.#tell('ready'),
      // An error that nobody listens for is uncaught, as with Node's servers.
      (error: unknown) => this.#tell('error', error),
    );
  }

  /** Where it listens; null while it does not. */
  address(): { readonly host: string; readonly port: number } | null {
    return this.#server.address ?? null;
  }

  /** Closes the port, and waits until all clients have left. */
  close(): Promise<void>;
  close(callback: LockdCallback<[]>): void;
  close(callback?: LockdCallback<[]>): Promise<void> | void {
    this.#isClosed = true;
    return outcome<[], void>(callback, nothing, (done) => void this.#server.close().then(() => done(null)));
  }

  /** Closes the port and all connections. */
  destroy(): Promise<void>;
  destroy(callback: LockdCallback<[]>): void;
  destroy(callback?: LockdCallback<[]>): Promise<void> | void {
    this.#isClosed = true;
    return outcome<[], void>(callback, nothing, (done) => void this.#server.destroy().then(() => done(null)));
  }

  #tell(event: string, ...values: unknown[]): void {
    microtask(() => {
      if (!this.#isClosed) this.emit(event, ...values);
    });
  }
}
brand(LockdServer, 'LockdServer');

const nothing = (): void => undefined;

/**
 * Starts a server.
 * @throws ConfigError for a wrong option
 */
export const listen = (options: LockdListenOptions): LockdServer => new LockdServer(options);
