import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { type Alarms, newAlarm } from '../common/alarms.js';
import { AuthError, ConfigError, type LockError, LockUnavailableError } from '../common/errors.js';
import { withoutToken, withoutValues } from '../common/shown.js';
import type { Clock, Ms } from '../common/system.js';
import { toBytes } from '../protocol/bytes.js';
import { LineDecoder, parseReply } from '../protocol/reply-decoder.js';
import { encodeRequest } from '../protocol/request-encoder.js';
import { LINE_CAP } from '../protocol/limits.js';
import type { Endpoint } from './config.js';
import { Wire } from './wire.js';

/** Where to connect, and how to introduce oneself. */
export interface Target {
  readonly endpoint: Endpoint;
  readonly tls: ConnectionOptions | undefined;
  readonly auth: string | undefined;
  /** For all of it: name, TCP, TLS and auth. */
  readonly connectTimeoutMs: Ms;
}

/** Exactly one is called, once, unless the attempt is aborted. */
export interface ConnectResult {
  /** Ready for requests. Nobody listens to the socket: whoever takes the wire does so in the same turn. */
  connected(wire: Wire): void;
  failed(error: LockError): void;
}

/** dialing → greeting (auth is on its way) → over. */
type State = 'dialing' | 'greeting' | 'over';

/** TLS said no: the certificate, or there is no TLS on that port. Nothing that time heals. */
const isTlsRefusal = (code: string): boolean =>
  /^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_OSSL)/.test(code) || code === 'EPROTO';

/** One attempt to reach a server: TCP without delay, TLS if asked for, auth before anything else (spec 2). */
export class Connector {
  private state: State = 'dialing';
  private readonly wire: Wire;
  private readonly decoder = new LineDecoder((line) => this.onGreeting(line), LINE_CAP);
  private greetings: string[] = [];
  private readonly late = newAlarm(() => this.clock.afterPoll(() => this.timeOut()));

  /** @throws ConfigError for TLS options that Node refuses */
  constructor(
    private readonly target: Target,
    private readonly clock: Clock,
    private readonly alarms: Alarms,
    private readonly result: ConnectResult,
  ) {
    this.wire = this.dial();
    const { socket } = this.wire;
    // A connection that nobody waits for does not keep the process alive; who waits has a deadline that does.
    socket.unref();
    socket.on('error', this.onError);
    socket.on('close', this.onClose);
    socket.once(target.tls ? 'secureConnect' : 'connect', () => this.greet());
    alarms.set(this.late, clock.now() + target.connectTimeoutMs);
  }

  /** Nothing is called any more. */
  abort(): void {
    if (this.end()) this.wire.socket.destroy();
  }

  private dial(): Wire {
    const { endpoint, tls } = this.target;
    const { host, port, label } = endpoint;
    if (!tls) return new Wire(host, port, undefined);
    const servername = isIP(host) ? undefined : { servername: host };
    try {
      return new Wire(host, port, { ...servername, minVersion: 'TLSv1.2', ...tls });
    } catch (thrown) {
      const error = withoutValues(thrown);
      throw new ConfigError(`option remote.tls: ${error.message}`, { cause: error, server: label });
    }
  }

  private greet(): void {
    if (this.state !== 'dialing') return;
    const { auth } = this.target;
    if (auth === undefined) return this.succeed();
    this.state = 'greeting';
    this.wire.receive = this.onBytes;
    this.wire.socket.write(encodeRequest({ t: 'auth', token: toBytes(auth) }), 'latin1');
  }

  private readonly onBytes = (bytes: string): void => {
    if (!this.decoder.push(bytes)) return this.fail(this.unavailable('a greeting without end'));
    const [line] = this.greetings;
    if (line !== undefined && this.state === 'greeting') this.judge(line);
  };

  private onGreeting(line: string): void {
    this.greetings.push(line);
  }

  private judge(line: string): void {
    const { label } = this.target.endpoint;
    const reply = parseReply(line, 'auth');
    if (this.greetings.length > 1) this.fail(this.unavailable('more than one answer to auth'));
    else if (reply?.s === 'ok') this.succeed();
    else if (reply?.s === 'auth') this.fail(new AuthError({ server: label }));
    else if (reply?.s === 'error') {
      // A server without token says so to every `auth` (spec 2).
      this.fail(new ConfigError(`option remote.auth: ${label} takes no auth token`, { server: label }));
    } else this.fail(this.unavailable(`unexpected answer to auth: ${JSON.stringify(withoutToken(line).slice(0, 80))}`));
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

  /** False if it was over already. */
  private end(): boolean {
    if (this.state === 'over') return false;
    this.state = 'over';
    this.alarms.cancel(this.late);
    return true;
  }

  private timeOut(): void {
    this.fail(this.unavailable(`no connection within ${this.target.connectTimeoutMs} ms`));
  }

  private readonly onError = (error: NodeJS.ErrnoException): void => {
    const { label } = this.target.endpoint;
    const code = error.code ?? '';
    if (this.target.tls && isTlsRefusal(code)) {
      this.fail(new ConfigError(`option remote.tls: ${label}: ${error.message}`, { cause: error, server: label }));
    } else {
      this.fail(this.unavailable(error.message || code, error));
    }
  };

  private readonly onClose = (): void => {
    // Too many connections, or a server that wants TLS (spec 7, 12).
    this.fail(this.unavailable('the server closed the connection without a word'));
  };

  private unavailable(what: string, cause?: Error): LockUnavailableError {
    const { label } = this.target.endpoint;
    return new LockUnavailableError(`cannot reach ${label}: ${what}`, { cause, server: label });
  }
}
