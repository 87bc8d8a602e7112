import { ConfigError, type LockError, PoolExhaustedError, ShuttingDownError } from '../../../common/errors.js';
import { printAs } from '../../../common/inspection.js';
import type { Clock, Entropy } from '../../../common/system.js';
import { Attempt } from './attempt.js';
import type { PgClient } from './pg-client.js';
import { PgSession } from './pg-session.js';
import { look, standby, tooOld } from './server-look.js';
import type { ServerFacts, Session, SessionDialer, SessionKind, SessionSettings } from './session.js';
import { applicationName, isOptional, settingsOf, startupOptions } from './settings.js';
import { applySettings } from './settings-later.js';
import type { ClientSource } from './source.js';
import { connectError, hasNoRoom, sqlStateOf, unavailable } from './sql-errors.js';
import { checkOneServer, isPooled, type Looked, probeAlone, probeLocks, probePooler } from './start-probe.js';

/** What the dialer needs of the client that it works for. */
export interface DialerHost {
  readonly clock: Clock;
  readonly entropy: Entropy;
}

/** Makes sessions, and finds out at the start what kind of server there is. Never reconnects by itself. */
export class Dialer implements SessionDialer {
  server = 'Postgres';
  facts: ServerFacts | undefined;

  readonly #source: ClientSource;
  /** The newest command session. Where a pooler is between, new sessions are compared with it. */
  private command: Looked | undefined;
  private isFirstStart = true;
  private wasAccepted = false;
  /** A pooler refuses settings in the startup message. */
  private withoutOptions = false;
  /** Optional settings that the platform of the server does not have. */
  private readonly unsupported = new Set<string>();
  private readonly attempts = new Set<Attempt>();
  private closedBy: LockError | undefined;
  private degraded: (detail: string) => void = () => undefined;

  constructor(
    source: ClientSource,
    private readonly settings: SessionSettings,
    private readonly host: DialerHost,
  ) {
    this.#source = source;
  }

  start(): Promise<{ readonly command: Session; readonly wait: Session | undefined }> {
    const { entropy } = this.host;
    const { namesPooler } = this.#source;
    // Later attempts are made in the background: they do not keep the process alive.
    const isAwaited = this.isFirstStart;
    this.isFirstStart = false;
    return this.attempt(2 * this.settings.connectTimeoutMs, isAwaited, async (attempt) => {
      const command = await this.open('command', attempt);
      const wait = await this.open('wait', attempt).catch((error: unknown) => {
        if (!hasNoRoom(error)) throw error;
        return undefined;
      });
      if (wait) await probeLocks(command, wait, entropy, namesPooler);
      else await probeAlone(command, entropy);
      await this.accept(command);
      if (wait) await this.accept(wait);
      attempt.keep(command.session, wait?.session);
      return { command: command.session, wait: wait?.session };
    });
  }

  connect(kind: SessionKind, isAwaited = false): Promise<Session> {
    return this.attempt(this.settings.connectTimeoutMs, isAwaited, async (attempt) => {
      const made = await this.open(kind, attempt);
      const command = this.command?.session.isEnded === false ? this.command : undefined;
      if (command) checkOneServer(command, made);
      if (isPooled(made)) {
        const partner = command ?? (await this.open('command', attempt));
        await probePooler(partner, made, this.#source.namesPooler);
      }
      await this.accept(made);
      attempt.keep(made.session);
      return made.session;
    });
  }

  onDegraded(callback: (detail: string) => void): void {
    this.degraded = callback;
  }

  close(error: LockError = new ShuttingDownError()): void {
    this.closedBy = error;
    for (const attempt of this.attempts) attempt.abort(error);
  }

  toJSON(): object {
    return { server: this.server };
  }

  /** Runs something that makes sessions, within a time. Whatever it does not keep is closed. */
  private async attempt<T>(timeoutMs: number, isAwaited: boolean, make: (attempt: Attempt) => Promise<T>): Promise<T> {
    if (this.closedBy) throw this.closedBy;
    await this.#source.load();
    if (this.closedBy) throw this.closedBy;
    const tooLate = (): LockError =>
      unavailable(this.server, `no answer within ${timeoutMs} ms (option postgresBackend.connectTimeoutMs)`);
    const attempt = new Attempt(this.host.clock, timeoutMs, isAwaited, tooLate);
    this.attempts.add(attempt);
    try {
      return await make(attempt);
    } catch (error) {
      // What an aborted attempt says is only that its sessions have ended.
      throw this.lasting(attempt.failure ?? error);
    } finally {
      attempt.finish(unavailable(this.server, 'the connection was given up'));
      this.attempts.delete(attempt);
    }
  }

  /** What the server has accepted before may come right again. */
  private lasting(error: unknown): unknown {
    if (!this.wasAccepted || !(error instanceof ConfigError) || error.isTransient) return error;
    return new ConfigError(error.message, { server: this.server, cause: error.cause, isTransient: true });
  }

  private async open(kind: SessionKind, attempt: Attempt): Promise<Looked> {
    const client = await this.connected(kind, attempt);
    const { sessionTimeoutMs } = this.settings;
    const session = attempt.add(new PgSession(client, kind, this.server, sessionTimeoutMs, this.host.clock));
    const seen = await look(session);
    if (seen.isStandby) throw standby(this.server);
    session.pid = seen.pid;
    session.backendStart = seen.backendStart;
    return { session, look: seen, toldPid: client.processID ?? undefined };
  }

  private async connected(kind: SessionKind, attempt: Attempt): Promise<PgClient> {
    for (;;) {
      const client = this.newClient(kind);
      try {
        await attempt.connect(client);
        return client;
      } catch (error) {
        if (this.adapts(error)) continue;
        throw this.typed(error, kind);
      }
    }
  }

  private newClient(kind: SessionKind): PgClient {
    const client = this.#source.newClient();
    const { connectionParameters: parameters, host = '', port, database = '' } = client;
    this.server = `${host.includes(':') ? `[${host}]` : host}:${port}/${database}`;
    parameters.application_name = applicationName();
    if (!this.withoutOptions) {
      const ours = startupOptions(settingsOf(kind, this.settings.sessionTimeoutMs, this.unsupported));
      parameters.options = [parameters.options, ours].filter(Boolean).join(' ');
    }
    return client;
  }

  /** Whether another attempt with other settings may do. */
  private adapts(error: unknown): boolean {
    const text = String((error as { message?: unknown } | null)?.message);
    if (!this.withoutOptions && /unsupported startup parameter/i.test(text)) {
      this.withoutOptions = true;
      return true;
    }
    const [, name] = /parameter "(\w+)"/.exec(text) ?? [];
    if (name === undefined || !isOptional(name) || this.unsupported.has(name)) return false;
    this.unsupported.add(name);
    return true;
  }

  private typed(error: unknown, kind: SessionKind): LockError {
    const { server, wasAccepted } = this;
    const text = String((error as { message?: unknown } | null)?.message);
    if (sqlStateOf(error) === '42704' && /idle_session_timeout/.test(text)) return tooOld(server);
    const typed = connectError(error, { server, wasAccepted });
    if (kind === 'command' || !hasNoRoom(typed)) return typed;
    return new PoolExhaustedError(`Postgres at ${server} has no room for another connection: ${text}`, {
      server,
      cause: typed.cause,
    });
  }

  /** Its settings become what they must be, from where on it counts. */
  private async accept(made: Looked): Promise<void> {
    const { session, look: seen } = made;
    const wanted = settingsOf(session.kind, this.settings.sessionTimeoutMs, this.unsupported);
    await applySettings(made, wanted, this.withoutOptions || isPooled(made), this.unsupported);
    const before = this.facts?.systemIdentifier;
    const { systemIdentifier, timeline, version, versionNumber, maxConnections, lockTableSize } = seen;
    this.facts = {
      version,
      versionNumber,
      systemIdentifier,
      timeline,
      maxConnections,
      lockTableSize,
      isPooled: isPooled(made),
    };
    this.wasAccepted = true;
    if (session.kind === 'command') this.command = made;
    if (before !== undefined && systemIdentifier !== undefined && before !== systemIdentifier) {
      this.degraded(
        `${this.server} is another cluster than before: locks on the one do not exclude those on the other`,
      );
    }
  }
}

printAs('Dialer', Dialer);
