import type { AcquireRequest, Grant, LinkEvent, Pending, Released } from '../../../../lib/backends/backend.js';
import { CommandConnection } from '../../../../lib/backends/postgres/commands/command-connection.js';
import { WaitConnections } from '../../../../lib/backends/postgres/commands/wait-connections.js';
import { lockIdOf } from '../../../../lib/backends/postgres/ids/lock-id.js';
import { type PostgresBackendOptions, resolvePostgres } from '../../../../lib/backends/postgres/options.js';
import { PostgresBackend } from '../../../../lib/backends/postgres/postgres.js';
import type { PostgresStats } from '../../../../lib/backends/postgres/postgres-stats.js';
import type { ServerFacts } from '../../../../lib/backends/postgres/sessions/session.js';
import { LockUnavailableError } from '../../../../lib/common/errors.js';
import { FakeClock, FakeEntropy, settlePromises } from '../../../support/fake-clock.js';
import { ModelDialer } from './commands/connection.js';
import { ModelPostgres, type ModelSession } from './commands/model-postgres.js';

let grants = 0;

/** What the server knows the lock of a key by. */
export const idOf = (key = 'k'): string => String(lockIdOf('lock', key));

/** The statements of a session, without what a process says about itself when it starts. */
export const namesOf = (session: ModelSession): string[] =>
  session.sent.map(({ name }) => name.replace('dflockd_', '')).filter((name) => name !== 'publish');

/** An acquire, and what it was told. */
export class Caller {
  said = '';
  isQueued = false;
  grant: Grant | undefined;
  /** Counts the grants of all processes. */
  number = 0;
  error: Error | undefined;
  outcome: Released | undefined;
  pending: Pending | undefined;

  constructor(
    readonly process: ModelProcess,
    readonly name: string,
  ) {}

  onPlaced(): void {
    this.isQueued = true;
  }

  granted(grant: Grant): void {
    this.tell('granted');
    this.grant = grant;
    this.number = ++grants;
    this.process.order.push(this.name);
  }

  refused(error: unknown): void {
    this.tell('refused');
    this.error = error as Error;
  }

  cancel(): void {
    if (this.said === '') this.said = 'cancelled';
    this.pending!.cancel();
  }

  /** Releases, once. */
  release(keepMs = 0): this {
    this.process.backend.release(
      this.grant!,
      (outcome) => {
        if (this.outcome !== undefined) throw new Error('released twice');
        this.outcome = outcome;
      },
      keepMs,
    );
    return this;
  }

  private tell(said: string): void {
    if (this.said !== '') throw new Error(`${this.name} was told ${said} after ${this.said}`);
    this.said = said;
  }
}

/** A backend over the model of Postgres: one process. */
export class ModelProcess {
  readonly events: LinkEvent[] = [];
  /** The callers, in the order in which they were granted. */
  readonly order: string[] = [];
  readonly dialer: ModelDialer & { facts: ServerFacts | undefined };
  readonly backend: PostgresBackend;
  /** Of the semaphores that it asks for. 0: it asks for locks. */
  slots = 0;
  private callers = 0;

  private constructor(
    readonly postgres: ModelPostgres,
    options: PostgresBackendOptions,
  ) {
    const { clock } = postgres;
    const host = { clock, entropy: new FakeEntropy(postgres.sessions.length + 1), log: () => undefined };
    const config = resolvePostgres(options);
    this.dialer = new ModelDialer(postgres);
    const commands = new CommandConnection(this.dialer, host, config);
    const waitSessions = new WaitConnections(this.dialer, commands, clock, config);
    this.backend = new PostgresBackend(config, { dialer: this.dialer, commands, waitSessions }, host);
    this.backend.onLink((event) => this.events.push(event));
  }

  static async start(postgres: ModelPostgres, options: PostgresBackendOptions = {}): Promise<ModelProcess> {
    const process = new ModelProcess(postgres, options);
    const starting = process.backend.start();
    // Where there is a table, it is looked for.
    await settle(postgres);
    await starting;
    return process;
  }

  get clock(): FakeClock {
    return this.postgres.clock;
  }

  /** The command session of the moment, or the last one. */
  get command(): ModelSession {
    return this.dialer.made.filter(({ kind }) => kind === 'command').at(-1)!;
  }

  get waits(): ModelSession[] {
    return this.dialer.made.filter(({ kind, isEnded }) => kind === 'wait' && !isEnded);
  }

  /** Locks that its sessions have at the server, or wait for there. A session that has ended frees its own. */
  get entries(): number {
    const live = this.dialer.made.filter(({ isEnded }) => !isEnded);
    return live.reduce((sum, session) => sum + this.postgres.entriesOf(session), 0);
  }

  /** What it counts, and what it may have. */
  get holdings(): { readonly count: number; readonly limit: number } {
    return this.backend['core'].holdings;
  }

  async stats(): Promise<PostgresStats> {
    return (await this.backend.stats())[0]!;
  }

  request(key = 'k', waitMs = 60_000): AcquireRequest {
    const kind = this.slots === 0 ? 'lock' : 'sem';
    return { key, kind, limit: this.slots || 1, leaseMs: 3_600_000, deadline: this.clock.now() + waitMs };
  }

  enqueue(key = 'k', waitMs = 60_000, mode: 'queue' | 'ticket' = 'queue'): Caller {
    const caller = new Caller(this, String(++this.callers));
    caller.pending = this.backend.enqueue(this.request(key, waitMs), mode, caller);
    return caller;
  }

  /** A caller with a ticket. */
  ticket(waitMs = Infinity): Caller {
    return this.enqueue('k', waitMs, 'ticket');
  }

  /** A caller that has the lock. */
  async held(key = 'k'): Promise<Caller> {
    const caller = this.enqueue(key);
    await settle(this.postgres);
    if (caller.said !== 'granted') throw new Error(`not granted, but ${caller.said}`);
    return caller;
  }

  /** Callers that have a slot each. */
  async holders(count: number): Promise<Caller[]> {
    const callers: Caller[] = [];
    for (let i = 0; i < count; i++) callers.push(await this.held());
    return callers;
  }
}

/** A process in a database of its own, and somebody else in it. */
export async function startWithRival(): Promise<{ postgres: ModelPostgres; us: ModelProcess; rival: ModelSession }> {
  const postgres = new ModelPostgres(new FakeClock());
  const us = await ModelProcess.start(postgres);
  return { postgres, us, rival: postgres.connect() };
}

/** A connection breaks, and the server notices it at once. */
export function lose(session: ModelSession, why = 'cut'): void {
  session.end(new LockUnavailableError(why));
  session.gone();
}

/** What is asked for on a session has left, the server has executed it, and the answer has arrived. */
export async function answered(session: ModelSession): Promise<void> {
  await settlePromises();
  session.run();
  session.reply();
  await settlePromises();
}

/** What a promise came to so far: its value, or the message of its error. */
export function outcomeOf(promise: Promise<unknown>): { said: unknown } {
  const outcome = { said: undefined as unknown };
  promise.then(
    (value) => (outcome.said = value),
    (error: Error) => (outcome.said = error.message),
  );
  return outcome;
}

/** Everything that can be answered is. */
export async function settle(postgres: ModelPostgres): Promise<void> {
  await settlePromises();
  for (let quiet = 0; quiet < 2;) {
    const before = postgres.sessions.map(({ sent, inFlight }) => `${sent.length} ${inFlight?.name}`).join();
    for (const session of postgres.sessions) session.settle();
    await settlePromises();
    const after = postgres.sessions.map(({ sent, inFlight }) => `${sent.length} ${inFlight?.name}`).join();
    quiet = before === after ? quiet + 1 : 0;
  }
}
