import {
  type LockError,
  LockUnavailableError,
  PoolExhaustedError,
  ProtocolError,
  ShuttingDownError,
} from '../../../common/errors.js';
import type { Clock, Entropy, Ms, Timer } from '../../../common/system.js';
import type { Session, SessionDialer, Statement } from '../sessions/session.js';
import { type Asked, AskedFreeSlot, AskedTry, AskedTrySlot, AskedUnlock } from './asked.js';
import { Backoff } from '../../../common/backoff.js';
import { CommandListeners } from './command-listeners.js';
import { type Counted, CommandSession, type CommandSessionContext } from './command-session.js';
import type { CommandCounts, Commands, FreeSlotOp, SlotTryOp, TryOp, UnlockOp } from './commands.js';
import { IdleClose, type Later } from './idle-close.js';
import { PlainStatement } from './plain-statement.js';
import { STATEMENTS } from './statements.js';

/** What the command connection needs of the options. */
export interface CommandSettings {
  readonly sessionTimeoutMs: Ms;
  readonly requestTimeoutMs: Ms;
  readonly minDelayMs: Ms;
  readonly maxDelayMs: Ms;
  /** After how long without use the session is closed. 0: never. */
  readonly idleCloseMs: Ms;
}

/** The command connection: a session, and after its end another one. Nothing is resumed. */
export class CommandConnection extends CommandListeners implements Commands {
  outage: LockError | undefined;
  private current: CommandSession | undefined;
  private isStarted = false;
  private closed: LockError | undefined;
  private readonly counted: Counted & { connects: number } = { statements: 0, ops: 0, repairs: 0, connects: 0 };
  private readonly backoff: Backoff;
  private readonly idle: IdleClose;
  private readonly context: CommandSessionContext;
  /** Sessions that the server may still have. */
  private ghosts: Session[] = [];
  private connecting: Promise<LockError | undefined> | undefined;
  /** Of the next attempt to connect. */
  private timer: Timer | undefined;

  constructor(
    private readonly dialer: SessionDialer,
    private readonly host: { readonly clock: Clock; readonly entropy: Entropy },
    settings: CommandSettings,
  ) {
    super();
    const { server } = dialer;
    this.outage = new LockUnavailableError('not connected to Postgres yet', { server });
    this.backoff = new Backoff(settings.minDelayMs, settings.maxDelayMs, host.entropy);
    const { sessionTimeoutMs, requestTimeoutMs } = settings;
    this.idle = new IdleClose(host.clock, settings.idleCloseMs);
    this.context = {
      clock: host.clock,
      sessionTimeoutMs,
      requestTimeoutMs,
      suspect: (session) => this.tell.suspect(session),
      degraded: (detail, error) => this.tell.degraded(detail, error),
      impaired: (problem, of) => {
        const error = new ProtocolError(`${problem}: is a pooler in transaction mode in between?`, { server: of });
        this.tell.degraded(error.message, error);
      },
    };
  }

  get session(): Session | undefined {
    return this.current?.session;
  }

  get counts(): CommandCounts {
    return { ...this.counted, inBook: this.current?.book.size ?? 0 };
  }

  /** Reports an answer of the server that only another program between can explain. */
  impaired(problem: string, server: string): void {
    this.context.impaired(problem, server);
  }

  /** Who may need the session although he asks for nothing: it is not closed then. */
  neededBy(isNeeded: () => boolean): void {
    this.idle.neededBy(isNeeded);
  }

  /** May be called again after it failed, while attempts go on in the background. */
  async start(): Promise<void> {
    const error = this.current ? undefined : await this.connect();
    if (error) throw error;
  }

  try(op: TryOp): void {
    const { current } = this;
    if (!current || this.closed) this.later(new AskedTry(op));
    else if (current.isTaken(op.id)) op.refused();
    else current.ask(new AskedTry(op));
  }

  unlock(session: Session, op: UnlockOp): void {
    const { current } = this;
    if (current?.session !== session || session.isEnded) new AskedUnlock(op).unsent();
    else current.ask(new AskedUnlock(op));
  }

  trySlot(op: SlotTryOp): void {
    const { current } = this;
    if (!current || this.closed) this.later(new AskedTrySlot(op));
    else current.ask(new AskedTrySlot(op));
  }

  freeSlot(session: Session, op: FreeSlotOp): void {
    const { current } = this;
    if (current?.session !== session || session.isEnded) new AskedFreeSlot(op).unsent();
    else current.ask(new AskedFreeSlot(op));
  }

  query(statement: Statement, since?: Ms): void {
    if (this.current) this.current.query(statement, since);
    else {
      this.connectFor({ ask: (current) => current.query(statement, since), failed: (error) => statement.ended(error) });
    }
  }

  prove(session: Session, done: (error?: LockError) => void): void {
    const { current } = this;
    if (current?.session === session && !session.isEnded) current.prove(done);
    else done(gone(session.server));
  }

  terminate(session: Session): void {
    if (this.closed) return;
    this.ghosts.push(session);
    this.terminateGhosts();
  }

  async close(graceMs: Ms): Promise<void> {
    const { current, host } = this;
    if (this.closed) return;
    const error = new ShuttingDownError();
    this.closed = error;
    this.outage = error;
    if (this.timer) host.clock.clearTimer(this.timer);
    this.idle.stop();
    this.idle.failed(error);
    if (!current) return;
    await new Promise<void>((resolve) => {
      const timer = host.clock.setTimer(resolve, graceMs, true);
      current.drain(error, () => {
        host.clock.clearTimer(timer);
        resolve();
      });
    });
    current.session.end(error);
  }

  private get unavailable(): LockError {
    return this.closed ?? this.outage ?? new LockUnavailableError('not connected', { server: this.dialer.server });
  }

  private later(asked: Asked): void {
    this.connectFor({ ask: (current) => current.ask(asked), failed: (error) => asked.unsent(error) });
  }

  /** If the session was closed because it was idle, there will be another one for this. */
  private connectFor(later: Later): void {
    if (!this.closed && this.idle.add(later)) void this.connect(true);
    else later.failed(this.unavailable);
  }

  /** One attempt at a time: of two sessions one would be forgotten, and go on with what it holds. */
  private connect(isAwaited = false): Promise<LockError | undefined> {
    if (this.timer) this.host.clock.clearTimer(this.timer);
    this.timer = undefined;
    return (this.connecting ??= this.attempt(isAwaited).finally(() => (this.connecting = undefined)));
  }

  /** Connects once. After a transient error it goes on in the background. */
  private async attempt(isAwaited: boolean): Promise<LockError | undefined> {
    const { dialer } = this;
    try {
      if (this.isStarted) {
        return this.adopt(await dialer.connect('command', isAwaited));
      }
      const { command, wait } = await dialer.start();
      const error = this.adopt(command);
      if (wait) this.handOver(wait);
      return error;
    } catch (cause) {
      return this.notConnected(cause as LockError);
    }
  }

  private notConnected(cause: LockError): LockError {
    if (this.closed) return this.closed;
    const error = cause instanceof PoolExhaustedError ? noRoom(cause) : cause;
    this.outage = error;
    if (error.isTransient) this.reconnectLater();
    else this.tell.fatal(error);
    if (this.idle.isClosed) {
      // Nobody knew that there was no session.
      if (error.isTransient) this.tell.down(error);
      this.idle.failed(error);
    }
    return error;
  }

  /** @returns why it is of no use */
  private adopt(session: Session): LockError | undefined {
    if (this.closed) {
      session.end(this.closed);
      return this.closed;
    }
    if (session.isEnded) return this.notConnected(gone(session.server));
    const isFirst = !this.isStarted;
    this.isStarted = true;
    this.counted.connects++;
    const current = new CommandSession(session, this.context, this.counted);
    this.current = current;
    this.outage = undefined;
    const connectedAt = this.host.clock.now();
    session.onEnd((error) => {
      this.current = undefined;
      this.idle.stop();
      if (!this.closed && !this.idle.isClosed) {
        this.outage = error;
        this.ghosts.push(session);
        // A server that ends each session at once is not asked more and more often.
        if (session.provenAt > connectedAt) this.backoff.reset();
        this.reconnectLater();
        this.tell.down(error);
      }
      current.ended(error);
    });
    this.terminateGhosts();
    this.idle.opened(current);
    this.tell.up(session, isFirst);
    return undefined;
  }

  private handOver(wait: Session): void {
    if (this.closed) wait.end(this.closed);
    else this.tell.spare(wait);
  }

  private reconnectLater(): void {
    this.timer ??= this.host.clock.setTimer(() => void this.connect(), this.backoff.next());
  }

  /** The server may not have noticed that these are over, and keep their locks until it does. */
  private terminateGhosts(): void {
    const { current, ghosts } = this;
    if (!current) return;
    this.ghosts = [];
    for (const ghost of ghosts) {
      current.send(
        new PlainStatement(STATEMENTS.terminate, [ghost.pid, ghost.backendStart], {
          answered: () => undefined,
          failed: () => undefined,
          ended: () => void this.ghosts.push(ghost),
        }),
      );
    }
  }
}

/** For want of this connection, nothing can be done: polling neither. */
const noRoom = (cause: LockError): LockError =>
  new LockUnavailableError(cause.message, { server: cause.server, cause });

const gone = (server: string): LockError => new LockUnavailableError('the session has ended', { server });
