import { Alarms, newAlarm } from '../../../common/alarms.js';
import { type LockError, LockUnavailableError, PoolExhaustedError } from '../../../common/errors.js';
import { afterMicrotasks, type Clock, type Ms } from '../../../common/system.js';
import type { Session, SessionDialer } from '../sessions/session.js';
import type { CommandConnection } from './command-connection.js';
import { GrantDelays } from './grant-delays.js';
import { WaitCheck } from './wait-check.js';
import { WaitConnection, type WaitContext } from './wait-connection.js';
import type { WaitCounts, WaitSession, WaitSessions } from './wait-sessions.js';

/** An idle session is kept for the next wait for this time. */
const KEEP_MS: Ms = 2000;
/** How long a server that had no room is not asked for more. */
const LOWERED_MS: Ms = 60_000;

export interface WaitSettings {
  readonly sessionTimeoutMs: Ms;
  readonly requestTimeoutMs: Ms;
  /** May be Infinity. */
  readonly maxWaitConnections: number;
}

interface Spare {
  readonly connection: WaitConnection;
  readonly since: Ms;
}

type Taken = (session: WaitSession | undefined, error?: LockError) => void;

export class WaitConnections implements WaitSessions {
  private readonly all = new Set<WaitConnection>();
  /** The one that was used last is the last one. */
  private spare: Spare[] = [];
  private dialing = 0;
  /** Who waits for a session to be connected or given back. */
  private readonly wanted = new Set<{ readonly taken: Taken }>();
  private lowered = Infinity;
  private closed: LockError | undefined;
  private readonly context: WaitContext;
  private readonly check: WaitCheck;
  private readonly sweep = newAlarm(() => this.closeStale());
  private readonly restore = newAlarm(() => this.raise());
  private readonly free: (() => void)[] = [];
  private isTelling = false;
  private readonly degraded: ((detail: string, error?: LockError) => void)[] = [];

  constructor(
    private readonly dialer: SessionDialer,
    commands: CommandConnection,
    clock: Clock,
    private readonly settings: WaitSettings,
  ) {
    const { sessionTimeoutMs, requestTimeoutMs } = settings;
    this.context = {
      clock,
      commands,
      sessionTimeoutMs,
      requestTimeoutMs,
      alarms: new Alarms(clock),
      counted: { cancels: 0, confirms: 0 },
      delays: new GrantDelays(),
      impaired: (problem, server) => commands.impaired(problem, server),
      waitBegins: (connection) => this.check.begin(connection),
      waitEnds: (connection) => this.check.end(connection),
      freed: (connection) => this.give(connection),
      over: (connection, mayHold) => {
        if (mayHold && !this.closed) commands.terminate(connection.session);
        this.forget(connection);
      },
    };
    this.check = new WaitCheck(this.context);
    commands.onSpare((session) => this.adopt(session));
    commands.onUp(() => this.tellFree());
    commands.neededBy(() => this.open > this.spare.length);
  }

  get open(): number {
    return this.all.size + this.dialing;
  }

  get cap(): number {
    return Math.min(this.settings.maxWaitConnections, this.lowered);
  }

  get counts(): WaitCounts {
    const { cancels, confirms } = this.context.counted;
    return { waiting: this.check.size, spare: this.spare.length, cancels, confirms };
  }

  onFree(callback: () => void): void {
    this.free.push(callback);
  }

  onDegraded(callback: (detail: string, error?: LockError) => void): void {
    this.degraded.push(callback);
  }

  take(taken: Taken): () => void {
    const { connection } = this.spare.pop() ?? {};
    if (this.closed || connection || this.open >= this.cap) {
      taken(connection, this.closed);
      return () => undefined;
    }
    const want = { taken };
    this.wanted.add(want);
    void this.dial();
    return () => void this.wanted.delete(want);
  }

  close(error: LockError): void {
    if (this.closed) return;
    this.closed = error;
    for (const { session } of [...this.all]) session.end(error);
    this.refuse(Infinity, error);
    this.context.alarms.clear();
  }

  private async dial(): Promise<void> {
    this.dialing++;
    try {
      const session = await this.dialer.connect('wait');
      this.dialing--;
      if (session.isEnded) this.failed(new LockUnavailableError('the session has ended', { server: session.server }));
      else this.adopt(session);
    } catch (error) {
      this.dialing--;
      this.failed(error as LockError);
    }
  }

  private adopt(session: Session): void {
    if (this.closed || session.isEnded) return session.end(this.closed ?? notNeeded(session));
    const connection = new WaitConnection(session, this.context);
    this.all.add(connection);
    this.give(connection);
  }

  /** To whoever wants it, or to the spare ones. */
  private give(connection: WaitConnection): void {
    const [want] = this.wanted;
    if (want) {
      this.wanted.delete(want);
      return want.taken(connection);
    }
    const { alarms, clock } = this.context;
    this.spare.push({ connection, since: clock.now() });
    if (this.sweep.slot < 0) alarms.set(this.sweep, clock.now() + KEEP_MS);
    this.tellFree();
  }

  private failed(error: LockError): void {
    if (this.closed) return;
    if (!(error instanceof PoolExhaustedError)) return this.refuse(1, error);
    const { alarms, clock } = this.context;
    this.lowered = this.open;
    alarms.set(this.restore, clock.now() + LOWERED_MS);
    const detail =
      `the server has no room for another connection: for the next ${LOWERED_MS / 1000} s, ${this.open} wait connections are used instead ` +
      `of ${this.settings.maxWaitConnections} (option postgresBackend.maxWaitConnections), and callers that wait for further keys poll`;
    for (const callback of this.degraded) callback(detail, error);
    this.refuse(1);
  }

  /** Tells the first ones that there is no session for them. */
  private refuse(count: number, error?: LockError): void {
    const refused = [...this.wanted].slice(0, count);
    for (const want of refused) {
      this.wanted.delete(want);
      want.taken(undefined, error);
    }
  }

  private raise(): void {
    this.lowered = Infinity;
    this.tellFree();
  }

  private closeStale(): void {
    const { alarms, clock } = this.context;
    const limit = clock.now() - KEEP_MS;
    const stale = this.spare.filter(({ since }) => since <= limit);
    this.spare = this.spare.slice(stale.length);
    const [first] = this.spare;
    if (first) alarms.set(this.sweep, first.since + KEEP_MS);
    for (const { connection } of stale) connection.session.end(notNeeded(connection.session));
  }

  private forget(connection: WaitConnection): void {
    this.all.delete(connection);
    this.spare = this.spare.filter((spare) => spare.connection !== connection);
    this.tellFree();
  }

  /** Later in this turn: when a session has ended, whoever owned its lock is told first. */
  private tellFree(): void {
    if (this.isTelling) return;
    this.isTelling = true;
    afterMicrotasks(() => {
      this.isTelling = false;
      if (!this.closed) for (const callback of this.free) callback();
    });
  }
}

const notNeeded = ({ server }: Session): LockError => new LockUnavailableError('not needed any more', { server });
