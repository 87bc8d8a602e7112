import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Alarms, newAlarm } from '../common/alarms.js';
import { AuthError, LockError } from '../common/errors.js';
import { type Clock, type Ms, systemClock } from '../common/system.js';
import { Connector } from '../client/connector.js';
import type { Wire } from '../client/wire.js';
import { toBytes } from '../protocol/bytes.js';
import { DEFAULT_READ_TIMEOUT_S } from '../protocol/limits.js';
import { encodeRequest } from '../protocol/request-encoder.js';
import { checkText } from './checks.js';
import { refused } from './replies.js';
import { SocketLines } from './socket-lines.js';

/** Where a connection goes, and how. */
export interface Destination {
  readonly host: string;
  readonly port: number;
  readonly tls: ConnectionOptions | undefined;
  /** Empty: none. */
  readonly auth: string | undefined;
  /** For TCP and TLS; undefined: as long as the machine tries. */
  readonly connectTimeoutMs: Ms | undefined;
}

/** Longest time a timer can have. */
const FOREVER_MS: Ms = 2 ** 31 - 1;

/** Whoever dials waits: the process stays alive meanwhile, though the connector's socket does not keep it so. */
const dialing = new Alarms(systemClock, true);

/** For answers of a server that does not make anybody wait. The socket keeps the process alive. */
const patience = new Alarms(systemClock);

/** How long an answer may take that waits for nothing. The server would have given us up by then. */
export const ANSWER_MS: Ms = DEFAULT_READ_TIMEOUT_S * 1000;

/** Ends the socket if `answer` has not come in time. */
export async function within<T>(ms: Ms, socket: Socket, what: string, answer: Promise<T>): Promise<T> {
  const clock: Clock = systemClock;
  const late = newAlarm(() =>
    // After a stall timers run before input: the answer may lie there.
    clock.afterPoll(() => over || SocketLines.of(socket).stop(`no answer to ${what} within ${ms} ms`)),
  );
  let over = false;
  patience.set(late, clock.now() + ms);
  try {
    return await answer;
  } finally {
    over = true;
    patience.cancel(late);
  }
}

/** One attempt to connect: no delay, TLS if asked for, auth before anything else. */
export class Dial {
  /** Rejects with the socket's own error, AuthError, or LockError. */
  readonly socket: Promise<Socket>;
  private readonly since = systemClock.now();
  private connector: Connector | undefined;
  private connected: Socket | undefined;
  private resolve!: (socket: Socket) => void;
  private reject!: (error: Error) => void;

  constructor(private readonly to: Destination) {
    this.socket = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    const { host, port, tls, connectTimeoutMs } = to;
    const endpoint = { host, port, label: `${host}:${port}` };
    const target = { endpoint, tls, auth: undefined, connectTimeoutMs: connectTimeoutMs || FOREVER_MS };
    try {
      this.connector = new Connector(target, systemClock, dialing, {
        connected: (wire) => this.onConnected(wire),
        failed: (error) => this.reject(this.own(error)),
      });
    } catch (error) {
      this.reject(this.own(error as Error));
    }
  }

  /** It is not wanted any more; after it has succeeded, nothing happens. */
  abort(why: string): void {
    this.connector?.abort();
    this.connected?.destroy();
    this.reject(new LockError(why));
  }

  private onConnected(wire: Wire): void {
    const { socket } = wire;
    // Read without the stream machinery; whoever has the socket listens as on any other.
    wire.receive = (bytes) => socket.emit('data', Buffer.from(bytes, 'latin1'));
    this.connected = socket;
    socket.ref();
    // Listens in this very turn.
    SocketLines.of(socket);
    const { auth } = this.to;
    if (auth) this.greet(socket, auth).then(() => this.resolve(socket), this.reject);
    else this.resolve(socket);
  }

  private async greet(socket: Socket, auth: string): Promise<void> {
    try {
      const asked = SocketLines.of(socket).ask(encodeRequest({ t: 'auth', token: toBytes(auth) }));
      const reply = await within(ANSWER_MS, socket, 'auth', asked);
      if (reply === 'error_auth') throw new AuthError();
      if (reply !== 'ok') throw refused('auth', reply);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** The connector's errors are typed for LockClient; here the socket's own error counts, as in the original. */
  private own(error: Error): Error {
    if (!(error instanceof LockError)) return error;
    if (error.cause !== undefined) return error.cause as Error;
    const { host, port, connectTimeoutMs } = this.to;
    if (connectTimeoutMs && systemClock.now() - this.since >= connectTimeoutMs) {
      return new LockError(`connect timeout: ${host}:${port} timed out after ${connectTimeoutMs} ms`);
    }
    return new LockError(error.message);
  }
}

/** Where to go, for those who are not a lock. */
export interface ConnectOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 6388. */
  port?: number;
  /** `{}` is TLS with the system's certificate authorities. Default: none. */
  tls?: ConnectionOptions;
  /** Sent first. Default: none. */
  auth?: string;
  /** Milliseconds for TCP and TLS. Default: as long as the machine tries. */
  connectTimeoutMs?: number;
}

/** A connection that is ready for requests. @throws LockError, AuthError, or the socket's own error */
export async function dialAt(options: ConnectOptions, host: string, port: number): Promise<Socket> {
  const { tls, auth, connectTimeoutMs } = options;
  if (auth !== undefined) checkText('auth', auth);
  return new Dial({ host: options.host ?? host, port: options.port ?? port, tls, auth, connectTimeoutMs }).socket;
}
