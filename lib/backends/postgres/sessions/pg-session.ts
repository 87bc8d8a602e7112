import type { LockError } from '../../../common/errors.js';
import { printAs } from '../../../common/inspection.js';
import { safetyMargin } from '../../../common/safety-margin.js';
import type { Clock, Ms, Timer } from '../../../common/system.js';
import type { PgCallback, PgClient, PgQueryConfig } from './pg-client.js';
import { PreparedQuery } from './prepared-query.js';
import type { Session, SessionKind, Statement, TextRow } from './session.js';
import { endedError, endsSession, sqlStateOf, statementError, unavailable } from './sql-errors.js';

/** Heartbeats of a silent session per session timeout. */
const BEATS_PER_TIMEOUT = 3;

const asText = (text: string): string => text;
const TEXT: PgQueryConfig['types'] = { getTypeParser: () => asText };

const nothing = (): void => undefined;

/** A caller waits for its answer, which comes soon. */
const isAwaited = ({ waits, isBackground }: Statement): boolean => !waits && !isBackground;

/** Keeps the session alive, and proves that it is. */
const newHeartbeat = (): Statement => ({
  name: '',
  text: 'select 1',
  values: [],
  isBackground: true,
  sentAt: -Infinity,
  answered: nothing,
  failed: nothing,
  ended: nothing,
});

/** A session on a connected client of pg. */
export class PgSession implements Session {
  pid = 0;
  backendStart = '';
  provenAt: Ms = -Infinity;

  readonly #client: PgClient;
  private readonly queue: Statement[] = [];
  private inFlight: Statement | undefined;
  /** How many of the statements are awaited. */
  private awaited = 0;
  private isWaitedFor = false;
  /** The server has refused the statement in flight; pg is not ready for the next one yet. */
  private refusal: { readonly error: LockError; readonly sqlState: string } | undefined;
  private endedBy: LockError | undefined;
  private readonly endCallbacks = new Set<(error: LockError) => void>();
  private noticed: (channel: string, payload: string) => void = nothing;
  private readonly heartbeat = newHeartbeat();
  private lastSentAt: Ms;
  /** When the answer of the last wait arrived, or that of the connect: proves nothing, but a heartbeat has time from then on. */
  private waitedUntil: Ms;
  private timer: Timer | undefined;

  /** @param client has just connected */
  constructor(
    client: PgClient,
    readonly kind: SessionKind,
    readonly server: string,
    private readonly sessionTimeoutMs: Ms,
    private readonly clock: Clock,
  ) {
    this.#client = client;
    this.waitedUntil = this.lastSentAt = clock.now();
    client.on('error', (error) => this.fail(error));
    const closed = (): void => this.fail(new Error('the connection was closed'));
    client.on('end', closed);
    // pg says so only once the socket is closed, one or two turns of the event loop later.
    client.connection.stream.on?.('end', closed);
    client.on('drain', () => this.recovered());
    client.on('notification', ({ channel, payload = '' }) => this.noticed(channel, payload));
    this.keepAlive();
    this.arm();
  }

  get isEnded(): boolean {
    return this.endedBy !== undefined;
  }

  get isIdle(): boolean {
    return this.queue.length === 0 && (this.inFlight === undefined || this.inFlight === this.heartbeat);
  }

  provenUntil(): Ms {
    return this.endedBy ? -Infinity : this.provenAt + this.patienceMs;
  }

  send(statement: Statement): void {
    if (this.endedBy) return statement.ended(this.endedBy);
    if (isAwaited(statement) && this.awaited++ === 0) this.keepAlive();
    if (this.inFlight || this.queue.length > 0) this.queue.push(statement);
    else this.dispatch(statement);
  }

  /** For statements at the start, which are few. Rejects with the error of the statement. */
  ask(text: string, values: readonly unknown[] = []): Promise<readonly TextRow[]> {
    return new Promise((answered, failed) => {
      this.send({ name: '', text, values, isBackground: true, sentAt: -Infinity, answered, failed, ended: failed });
    });
  }

  onEnd(callback: (error: LockError) => void): () => void {
    // Wrapped, because the same function may be registered twice.
    const own = (error: LockError): void => callback(error);
    if (!this.endedBy) this.endCallbacks.add(own);
    return () => this.endCallbacks.delete(own);
  }

  onNotice(callback: (channel: string, payload: string) => void): void {
    this.noticed = callback;
  }

  end(error: LockError): void {
    if (this.endedBy) return;
    this.endedBy = error;
    if (this.timer) this.clock.clearTimer(this.timer);
    this.timer = undefined;
    const wasIdle = this.inFlight === undefined;
    const statements = this.inFlight ? [this.inFlight, ...this.queue] : [...this.queue];
    this.inFlight = undefined;
    this.queue.length = 0;
    const callbacks = [...this.endCallbacks];
    this.endCallbacks.clear();
    // Before the socket is closed: then the server frees the locks.
    for (const callback of callbacks) callback(error);
    for (const statement of statements) statement.ended(error);
    this.close(wasIdle);
  }

  hold(isWaitedFor: boolean): void {
    this.isWaitedFor = isWaitedFor;
    this.keepAlive();
  }

  toJSON(): object {
    const { kind, server, pid, isEnded } = this;
    return { kind, server, pid, isEnded };
  }

  private keepAlive(): void {
    const { stream } = this.#client.connection;
    if (this.isWaitedFor || this.awaited > 0) stream.ref?.();
    else stream.unref?.();
  }

  private get patienceMs(): Ms {
    return this.sessionTimeoutMs - safetyMargin(this.sessionTimeoutMs);
  }

  /** If nothing is answered until then, the server has ended the session, or will. */
  private get silentAt(): Ms {
    if (this.inFlight?.waits) return Infinity;
    return Math.max(this.provenAt, this.waitedUntil) + this.patienceMs;
  }

  private dispatch(statement: Statement): void {
    this.inFlight = statement;
    statement.sentAt = this.lastSentAt = this.clock.now();
    try {
      this.#client.query(this.queryOf(statement));
    } catch (error) {
      this.fail(error);
    }
  }

  private queryOf({ name, text, values }: Statement): PreparedQuery | PgQueryConfig {
    const callback = this.onResult;
    if (name !== '') return new PreparedQuery(name, text, values, callback);
    return { name, text, values, rowMode: 'array', types: TEXT, callback };
  }

  private readonly onResult: PgCallback = (error, result) => {
    const statement = this.inFlight;
    if (!statement || this.endedBy) return;
    if (error) return this.refused(error);
    this.settled(statement);
    statement.answered(result.rows);
    this.next();
  };

  private refused(error: unknown): void {
    const sqlState = sqlStateOf(error);
    if (sqlState === undefined || endsSession(sqlState)) return this.fail(error);
    // pg takes the next statement only once the server is ready for it.
    this.refusal = { error: statementError(error, this.server), sqlState };
  }

  private recovered(): void {
    const { inFlight: statement, refusal } = this;
    if (!statement || !refusal || this.endedBy) return;
    this.refusal = undefined;
    this.settled(statement);
    statement.failed(refusal.error, refusal.sqlState);
    this.next();
  }

  /** The server has answered it. */
  private settled(statement: Statement): void {
    this.inFlight = undefined;
    this.provenAt = statement.sentAt;
    if (isAwaited(statement) && --this.awaited === 0) this.keepAlive();
    if (statement.waits) this.waitedUntil = this.clock.now();
  }

  private next(): void {
    if (this.inFlight || this.endedBy) return;
    const statement = this.queue.shift();
    if (statement) this.dispatch(statement);
  }

  private fail(error: unknown): void {
    this.end(endedError(error, this.server));
  }

  private close(wasIdle: boolean): void {
    const client = this.#client;
    const { stream } = client.connection;
    // Says goodbye if nothing is in its way; otherwise the server notices within a second, even where it waits.
    if (wasIdle) client.end(nothing);
    if (wasIdle && stream.destroySoon) stream.destroySoon();
    else stream.destroy();
  }

  /** Rings early rather than being moved with every statement. */
  private arm(): void {
    const now = this.clock.now();
    const beatMs = this.sessionTimeoutMs / BEATS_PER_TIMEOUT;
    const beatAt = this.inFlight ? Infinity : this.lastSentAt + beatMs;
    const due = Math.min(beatAt, this.silentAt, now + beatMs);
    this.timer = this.clock.setTimer(this.ring, due - now);
  }

  private readonly ring = (): void => {
    this.timer = undefined;
    const now = this.clock.now();
    if (this.silentAt <= now) {
      // After a stall, timers run before input is read: the answer may be there.
      this.clock.afterPoll(() => this.judge(now));
      return;
    }
    if (!this.inFlight && this.lastSentAt + this.sessionTimeoutMs / BEATS_PER_TIMEOUT <= now)
      this.dispatch(this.heartbeat);
    if (!this.endedBy) this.arm();
  };

  private judge(seen: Ms): void {
    if (this.endedBy) return;
    if (this.silentAt > seen) return this.arm();
    this.end(
      unavailable(
        this.server,
        `no answer for ${Math.round(this.patienceMs)} ms (option postgresBackend.sessionTimeoutMs)`,
      ),
    );
  }
}

printAs('Session', PgSession);
