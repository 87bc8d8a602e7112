import { type Alarm, newAlarm } from '../../../common/alarms.js';
import { type LockError, LockUnavailableError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import { PlainStatement } from './plain-statement.js';
import { STATEMENTS } from './statements.js';
import type { WaitConnection, WaitContext } from './wait-connection.js';

/** A wait that is over for the server is answered within this time, or its answer is lost. */
const ANSWER_MS: Ms = 1000;

/**
 * Looks whether the server still knows of the waits (S10). A wait proves nothing while it blocks: behind a black hole, its
 * caller would never hear of it.
 */
export class WaitCheck {
  private readonly waiting = new Set<WaitConnection>();
  /** Waits whose sessions were idle, by the time when they were sent. */
  private readonly idle = new Map<WaitConnection, Ms>();
  private readonly next: Alarm = newAlarm(() => this.look());
  private readonly verdict: Alarm = newAlarm(() => this.judge());

  constructor(private readonly context: WaitContext) {}

  get size(): number {
    return this.waiting.size;
  }

  begin(connection: WaitConnection): void {
    this.waiting.add(connection);
    if (this.next.slot < 0) this.schedule();
  }

  end(connection: WaitConnection): void {
    this.waiting.delete(connection);
    this.idle.delete(connection);
    if (this.waiting.size === 0) this.context.alarms.cancel(this.next);
  }

  private schedule(): void {
    const { alarms, clock, sessionTimeoutMs } = this.context;
    alarms.set(this.next, clock.now() + sessionTimeoutMs / 3);
  }

  private look(): void {
    this.schedule();
    const { commands, clock } = this.context;
    // A wait that was sent just now may not have arrived.
    const latest = clock.now() - ANSWER_MS;
    const asked = [...this.waiting]
      .map((connection) => ({ connection, since: connection.waitsSince! }))
      .filter(({ since }) => since <= latest);
    if (!commands.session || asked.length === 0) return;
    const sessions = asked.map(({ connection }) => connection.session);
    const pids = `{${sessions.map(({ pid }) => pid).join()}}`;
    const starts = `{${sessions.map(({ backendStart }) => `"${backendStart}"`).join()}}`;
    const nothing = (): void => undefined;
    commands.query(
      new PlainStatement(STATEMENTS.activity, [pids, starts], {
        answered: (rows) => {
          const states = new Map(rows.map(([pid, state]) => [pid, state]));
          for (const { connection, since } of asked) {
            if (connection.waitsSince !== since) continue;
            const pid = String(connection.session.pid);
            if (!states.has(pid)) this.endSession(connection, 'the server does not know the session any more');
            else if (states.get(pid) === 'idle') this.suspect(connection, since);
          }
        },
        failed: nothing,
        ended: nothing,
      }),
    );
  }

  /** The answer may be on its way. */
  private suspect(connection: WaitConnection, since: Ms): void {
    const { alarms, clock } = this.context;
    this.idle.set(connection, since);
    if (this.verdict.slot < 0) alarms.set(this.verdict, clock.now() + ANSWER_MS);
  }

  private judge(): void {
    const suspects = [...this.idle];
    this.idle.clear();
    this.context.clock.afterPoll(() => {
      for (const [connection, since] of suspects) {
        if (connection.waitsSince === since) this.endSession(connection, 'its answer was lost');
      }
    });
  }

  private endSession({ session }: WaitConnection, why: string): void {
    const error: LockError = new LockUnavailableError(`a wait is over: ${why}`, { server: session.server });
    session.end(error);
  }
}
