import { EventEmitter } from 'node:events';
import { brand } from '../../common/brand.js';
import { microtask } from '../../common/system.js';
import { LockdConnection } from './connection.js';
import { IdentityExchange, LockExchange, NamingExchange, StatsExchange } from './exchanges.js';
import { ListExchange } from './list-exchange.js';
import { checkLockdName } from './names.js';
import { connectConfig, type LockdConnectOptions } from './options.js';
import { type LockdCallback, outcome } from './outcome.js';
import type { LockCommand } from '../../protocol/lockd/texts.js';

/** The number and the text of an answer. */
export type LockdAnswer = [count: number, msg: string];

/** How the server identifies a client. */
export interface LockdIdentity {
  /** `host:port` of the client, as the server sees it. */
  readonly addr: string;
  /** The name set with `setName`, or the address. */
  readonly name: string;
}

const DUMP_OFF = 'The dump feature of the lockd server is disabled.';
const LIST_OFF = 'The dump and/or registry features of the lockd server are disabled.';

/** Own properties only, whatever the names are. */
function put<T>(map: Record<string, T>, name: string, value: T): void {
  Object.defineProperty(map, name, { value, enumerable: true, configurable: true, writable: true });
}

/** What is before and after the first `: `. */
function divided(line: string): [before: string, after: string] {
  const at = line.indexOf(': ');
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 2)];
}

/**
 * A client of lockd, glockd or the lockd port of this package. It is one connection, and its locks are held until they are
 * released or the connection ends; it does not reconnect. Calls are made one at a time, in order.
 *
 * Each method takes a callback `(error, …values)` or, without one, returns a promise of the first value. Calls fail with
 * a LockKeyError for a name that cannot be sent, a LockUnavailableError if the connection fails or an answer is late,
 * which closes it, and a ProtocolError for an answer that belongs to no call, which closes it, too.
 *
 * Events: `connect`; `error` for a failed connection, and for data that no call has asked for; `close`, unless
 * `disconnect` closed the connection: all locks are lost.
 */
export class LockdClient extends EventEmitter {
  readonly #connection: LockdConnection;

  /** @throws ConfigError */
  constructor(options: LockdConnectOptions) {
    super();
    this.#connection = new LockdConnection(connectConfig(options), {
      onConnect: () => this.#announce('connect'),
      onError: (error) => this.#announce('error', error),
      onClose: (wasAsked) => void (wasAsked || this.#announce('close')),
    });
  }

  /** What a listener throws is uncaught, but disturbs neither calls nor other events. */
  #announce(event: string, ...values: unknown[]): void {
    microtask(() => {
      // Without a listener, an `error` event would throw. Calls have been told.
      if (this.listenerCount(event) > 0) this.emit(event, ...values);
    });
  }

  /** Takes an exclusive lock. Fails with `Lock Get Failure: NAME` if another client has it. */
  get(name: string): Promise<number>;
  get(name: string, callback: LockdCallback<LockdAnswer>): void;
  get(name: string, callback?: LockdCallback<LockdAnswer>): Promise<number> | void {
    return this.#lock('g', name, false, callback);
  }

  /** Fails with `Lock Release Failure: NAME` if this client does not hold it. */
  release(name: string): Promise<number>;
  release(name: string, callback: LockdCallback<LockdAnswer>): void;
  release(name: string, callback?: LockdCallback<LockdAnswer>): Promise<number> | void {
    return this.#lock('r', name, false, callback);
  }

  /** 1 if anyone holds the exclusive lock, else 0. */
  inspect(name: string): Promise<number>;
  inspect(name: string, callback: LockdCallback<LockdAnswer>): void;
  inspect(name: string, callback?: LockdCallback<LockdAnswer>): Promise<number> | void {
    return this.#lock('i', name, true, callback);
  }

  /** Joins a shared lock. The value is the number of its holders, this client included. */
  getShared(name: string): Promise<number>;
  getShared(name: string, callback: LockdCallback<LockdAnswer>): void;
  getShared(name: string, callback?: LockdCallback<LockdAnswer>): Promise<number> | void {
    return this.#lock('sg', name, false, callback);
  }

  /** Fails with `Shared Lock Release Failure: NAME` if this client does not hold it. */
  releaseShared(name: string): Promise<number>;
  releaseShared(name: string, callback: LockdCallback<LockdAnswer>): void;
  releaseShared(name: string, callback?: LockdCallback<LockdAnswer>): Promise<number> | void {
    return this.#lock('sr', name, false, callback);
  }

  /** The number of holders of a shared lock. lockd itself tells only holders. */
  inspectShared(name: string): Promise<number>;
  inspectShared(name: string, callback: LockdCallback<LockdAnswer>): void;
  inspectShared(name: string, callback?: LockdCallback<LockdAnswer>): Promise<number> | void {
    return this.#lock('si', name, true, callback);
  }

  /** The holders of all exclusive locks, by name; or the holder of one, null if there is none. */
  dump(name?: '' | null): Promise<Record<string, string>>;
  dump(name: string): Promise<string | null>;
  dump(callback: LockdCallback<[lockInfo: Record<string, string>]>): void;
  dump(name: '' | null | undefined, callback: LockdCallback<[lockInfo: Record<string, string>]>): void;
  dump(name: string, callback: LockdCallback<[lockInfo: string | null]>): void;
  dump(...given: unknown[]): unknown {
    return this.#list('d', DUMP_OFF, given, (lines, name) => {
      if (name) return lines.length > 0 ? lines[0]!.slice(`${name}: `.length) : null;
      const locks: Record<string, string> = {};
      for (const [lock, holder] of lines.map(divided)) put(locks, lock, holder);
      return locks;
    });
  }

  /** The holders of all shared locks, by name; or the holders of one, in the order in which they joined. */
  dumpShared(name?: '' | null): Promise<Record<string, string[]>>;
  dumpShared(name: string): Promise<string[]>;
  dumpShared(callback: LockdCallback<[lockInfo: Record<string, string[]>]>): void;
  dumpShared(name: '' | null | undefined, callback: LockdCallback<[lockInfo: Record<string, string[]>]>): void;
  dumpShared(name: string, callback: LockdCallback<[lockInfo: string[]]>): void;
  dumpShared(...given: unknown[]): unknown {
    return this.#list('sd', DUMP_OFF, given, (lines, name) => {
      if (name) return lines.map((line) => line.slice(`${name}: `.length));
      const locks: Record<string, string[]> = {};
      for (const [lock, holder] of lines.map(divided)) {
        if (Object.hasOwn(locks, lock)) locks[lock]!.push(holder);
        else put(locks, lock, [holder]);
      }
      return locks;
    });
  }

  /** The address of this client, as the server sees it, and its name. The promise resolves with both. */
  getName(): Promise<LockdIdentity>;
  getName(callback: LockdCallback<[addr: string, name: string]>): void;
  getName(callback?: LockdCallback<[addr: string, name: string]>): Promise<LockdIdentity> | void {
    return outcome(
      callback,
      (addr, name): LockdIdentity => ({ addr, name }),
      (done) => this.#connection.ask(new IdentityExchange(done)),
    );
  }

  /** Names this client, for lists; an empty name removes the name. */
  setName(name: string): Promise<number>;
  setName(name: string, callback: LockdCallback<LockdAnswer>): void;
  setName(name: string, callback?: LockdCallback<LockdAnswer>): Promise<number> | void {
    return outcome(callback, first, (done) => {
      checkLockdName(name);
      this.#connection.ask(new NamingExchange(name, done));
    });
  }

  /** The addresses of clients that have named themselves, by name; or the address of one, null if there is none. */
  listClients(name?: '' | null): Promise<Record<string, string>>;
  listClients(name: string): Promise<string | null>;
  listClients(callback: LockdCallback<[clientInfo: Record<string, string>]>): void;
  listClients(name: '' | null | undefined, callback: LockdCallback<[clientInfo: Record<string, string>]>): void;
  listClients(name: string, callback: LockdCallback<[clientInfo: string | null]>): void;
  listClients(...given: unknown[]): unknown {
    return this.#list('who', LIST_OFF, given, (lines, name) => {
      if (name) return lines.length > 0 ? divided(lines.at(-1)!)[0] : null;
      const clients: Record<string, string> = {};
      for (const [addr, client] of lines.map(divided)) put(clients, client, addr);
      return clients;
    });
  }

  /** The counters of the server. */
  getStats(): Promise<Record<string, number>>;
  getStats(callback: LockdCallback<[stats: Record<string, number>]>): void;
  getStats(callback?: LockdCallback<[stats: Record<string, number>]>): Promise<Record<string, number>> | void {
    return outcome(callback, first, (done) => this.#connection.ask(new StatsExchange(done)));
  }

  /**
   * Closes the connection, which releases all locks. A call that has been sent is still answered, and those behind it
   * fail. Settles when the connection is closed, however often it is called.
   */
  disconnect(): Promise<void>;
  disconnect(callback: LockdCallback<[]>): void;
  disconnect(callback?: LockdCallback<[]>): Promise<void> | void {
    return outcome<[], void>(
      callback,
      () => undefined,
      (done) => this.#connection.disconnect(() => done(null)),
    );
  }

  #lock(
    command: LockCommand,
    name: string,
    isQuestion: boolean,
    callback: LockdCallback<LockdAnswer> | undefined,
  ): Promise<number> | void {
    return outcome(callback, first, (done) => {
      checkLockdName(name);
      this.#connection.ask(new LockExchange(command, name, isQuestion, done));
    });
  }

  #list(
    command: string,
    disabled: string,
    [one, other]: readonly unknown[],
    read: (lines: readonly string[], name: string) => unknown,
  ): unknown {
    const [name, callback] = typeof one === 'function' ? ['', one] : [one ?? '', other];
    return outcome(callback as LockdCallback<[unknown]> | undefined, first, (done) => {
      checkLockdName(name);
      const { traits } = this.#connection;
      const request = name === '' ? command : `${command} ${name}`;
      const exchange = new ListExchange(request, disabled, traits, (error, lines) =>
        error ? done(error) : done(null, read(lines, name)),
      );
      this.#connection.ask(exchange);
    });
  }
}
brand(LockdClient, 'LockdClient');

const first = <T>(value: T): T => value;

/**
 * Connects to a server. Calls may be made at once.
 * @throws ConfigError for a wrong option
 */
export const connect = (options: LockdConnectOptions): LockdClient => new LockdClient(options);
