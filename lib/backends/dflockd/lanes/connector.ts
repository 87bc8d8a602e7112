import type { ConnectionOptions } from 'node:tls';
import { type Alarms, newAlarm } from '../../../common/alarms.js';
import { ConfigError, type LockError, LockUnavailableError } from '../../../common/errors.js';
import type { Clock, Ms } from '../../../common/system.js';
import { transitions } from '../../../common/transitions.js';
import { toBytes } from '../../../protocol/bytes.js';
import { LINE_CAP } from '../../../protocol/limits.js';
import type { Request } from '../../../protocol/messages.js';
import { encodeRequest } from '../../../protocol/request-encoder.js';
import type { Endpoint } from './config.js';
import { type Acceptance, draining, NEVER, unauthorized } from './lane-errors.js';
import { describeStranger, isForeign, printable } from './stranger.js';
import { dialTls, isTlsRefusal } from './tls-options.js';
import { Wire } from './wire.js';

/** Where to connect, and with which credentials. */
export interface Target {
  readonly endpoint: Endpoint;
  readonly tls: ConnectionOptions | undefined;
  readonly auth: string | undefined;
  /** Limit for name lookup, TCP, TLS, auth and ping together. */
  readonly connectTimeoutMs: Ms;
}

/** Exactly one of these is called, once, unless the attempt is aborted. */
export interface ConnectResult {
  /**
   * The wire is ready for requests. The socket has no listeners, so the receiver must attach to it in the same turn.
   */
  connected(wire: Wire): void;
  failed(error: LockError): void;
}

/** dialing: not connected yet. greeting: auth or ping is in flight. over. */
export type ConnectorState = 'dialing' | 'greeting' | 'over';

export const nextConnectorState = transitions<ConnectorState, 'greet' | 'end'>('a connector', {
  dialing: { greet: 'greeting', end: 'over' },
  greeting: { end: 'over' },
  over: {},
});

/** What a server does if it is full, has no backend behind it, or disagrees about TLS (spec 7, 12). */
const WITHOUT_A_WORD =
  'the server closed the connection without an answer: it may be full (its flag --max-connections) or shutting down, ' +
  'be a proxy without a backend, or expect TLS (option remote.tls)';

/**
 * One attempt to reach a server: TCP without delay, TLS if configured, auth before anything else (spec 2), then a ping,
 * whose reply proves that the peer is dflockd.
 */
export class Connector {
  private state: ConnectorState = 'dialing';
  private readonly wire: Wire;
  private asked: 'auth' | 'ping' = 'ping';
  /** The part of the reply received so far. */
  private heard = '';
  private readonly late = newAlarm(() => this.clock.afterPoll(() => this.timeOut()));

  /**
   * @param record a refusal is transient if the server has accepted this client before
   * @param proves whether the attempt ends with a ping; without one, the first request proves the server
   * @throws ConfigError for TLS options that Node refuses
   */
  constructor(
    private readonly target: Target,
    private readonly clock: Clock,
    private readonly alarms: Alarms,
    private readonly result: ConnectResult,
    private readonly proves = false,
    private readonly record: Acceptance = NEVER,
  ) {
    this.wire = this.dial();
    const { socket } = this.wire;
    // An attempt does not keep the process alive; whoever waits for the connection has a deadline that does, or calls hold().
    socket.unref();
    socket.on('error', this.onError);
    socket.on('close', this.onClose);
    socket.once(target.tls ? 'secureConnect' : 'connect', () => this.greet());
    alarms.set(this.late, clock.now() + target.connectTimeoutMs);
  }

  /** Keeps the process alive until the attempt has ended. */
  hold(): void {
    this.wire.socket.ref();
  }

  /** Stops the attempt. No callback is called after this. */
  abort(): void {
    if (this.end()) this.wire.socket.destroy();
  }

  private dial(): Wire {
    const { endpoint, tls } = this.target;
    return tls ? dialTls(endpoint, tls) : new Wire(endpoint.host, endpoint.port, undefined);
  }

  private greet(): void {
    if (this.state !== 'dialing') return;
    this.state = nextConnectorState(this.state, 'greet');
    const { auth } = this.target;
    if (auth === undefined) return this.prove();
    this.ask({ t: 'auth', token: toBytes(auth) });
  }

  private prove(): void {
    if (this.proves) this.ask({ t: 'ping' });
    else this.succeed();
  }

  private ask(request: Request & { readonly t: 'auth' | 'ping' }): void {
    this.asked = request.t;
    this.heard = '';
    this.wire.receive = this.onBytes;
    this.wire.socket.write(encodeRequest(request), 'latin1');
  }

  private readonly onBytes = (bytes: string): void => {
    if (this.state !== 'greeting') return;
    this.heard += bytes;
    const end = this.heard.indexOf('\n');
    if (end < 0 ? this.heard.length > LINE_CAP : end > LINE_CAP) return this.fail(this.stranger());
    if (isForeign(this.heard)) return this.fail(this.stranger());
    if (end >= 0) this.judge(this.heard.slice(0, end).replace(/\r$/, ''), end + 1 < this.heard.length);
  };

  private judge(line: string, hasMore: boolean): void {
    const { label } = this.target.endpoint;
    const isAuth = this.asked === 'auth';
    if (line === 'error_auth') this.fail(unauthorized(label, this.target.auth !== undefined, this.record));
    else if (line === 'error_draining') this.fail(draining(label));
    // Servers before 1.14 reply `error` to a ping (spec 15).
    else if (line !== 'ok' && line !== 'error') this.fail(this.stranger());
    else if (hasMore) this.fail(this.unavailable(`more than one answer to ${this.asked}`));
    // A server without a token replies so to every `auth` (spec 2).
    else if (isAuth && line === 'error') {
      this.fail(this.misfit(`option remote.auth: ${label} takes no auth token`));
    } else if (isAuth) this.prove();
    else this.succeed();
  }

  private succeed(): void {
    if (!this.end()) return;
    const { wire } = this;
    wire.socket.removeListener('error', this.onError);
    wire.socket.removeListener('close', this.onClose);
    this.result.connected(wire);
  }

  private fail(error: LockError): void {
    if (!this.end()) return;
    this.wire.socket.destroy();
    this.result.failed(error);
  }

  /** Returns false if the attempt was over already. */
  private end(): boolean {
    if (this.state === 'over') return false;
    this.state = nextConnectorState(this.state, 'end');
    this.alarms.cancel(this.late);
    return true;
  }

  private timeOut(): void {
    const { connectTimeoutMs, tls } = this.target;
    const within = `within ${connectTimeoutMs} ms`;
    if (this.heard !== '') this.fail(this.stranger());
    else if (this.state === 'greeting') {
      this.fail(
        this.unavailable(`connected, but got no answer to "${this.asked}" ${within}: not dflockd, or it expects TLS`),
      );
    } else if (tls && !this.wire.socket.connecting)
      this.fail(this.unavailable(`connected, but no TLS handshake ${within}`));
    else this.fail(this.unavailable(`no connection ${within}`));
  }

  private readonly onError = (error: NodeJS.ErrnoException & { reason?: string }): void => {
    const { label } = this.target.endpoint;
    const code = error.code ?? '';
    if (this.target.tls && isTlsRefusal(code)) {
      const what = printable((error.reason ?? error.message).trim());
      const hint = /wrong version number/.test(what) ? ': the server does not speak TLS' : '';
      this.fail(this.misfit(`option remote.tls: ${label}: ${what}${hint}`, error));
    } else if (this.heard !== '') this.fail(this.stranger());
    else if (!this.wire.socket.connecting && (code === 'ECONNRESET' || code === 'EPIPE')) {
      this.fail(this.unavailable(`${WITHOUT_A_WORD} (${error.message || code})`, error));
    } else this.fail(this.unavailable(error.message || code, error));
  };

  private readonly onClose = (): void => {
    this.fail(this.heard === '' ? this.unavailable(WITHOUT_A_WORD) : this.stranger());
  };

  /** The peer replied, but not as dflockd does. */
  private stranger(): LockUnavailableError {
    const { auth } = this.target;
    return this.unavailable(describeStranger(this.heard, auth === undefined ? undefined : toBytes(auth)));
  }

  /** The server contradicts an option. The option is wrong unless the two have worked together before. */
  private misfit(what: string, cause?: Error): ConfigError {
    const { label } = this.target.endpoint;
    return new ConfigError(what, { cause, server: label, isTransient: this.record.hasWorked });
  }

  private unavailable(what: string, cause?: Error): LockUnavailableError {
    const { label } = this.target.endpoint;
    return new LockUnavailableError(`cannot reach ${label}: ${what}`, { cause, server: label });
  }
}
