import { beforeEach, describe, expect, it } from '@jest/globals';
import type { AcquireRequest, BackendHost, LinkEvent } from '../../../../lib/backends/backend.js';
import type { Commands, UnlockOp } from '../../../../lib/backends/postgres/commands/commands.js';
import type { WaitSessions } from '../../../../lib/backends/postgres/commands/wait-sessions.js';
import { HashedIds } from '../../../../lib/backends/postgres/hashed-ids.js';
import { Leases } from '../../../../lib/backends/postgres/leases.js';
import { type PostgresBackendOptions, resolvePostgres } from '../../../../lib/backends/postgres/options.js';
import { type Connections, PostgresCore } from '../../../../lib/backends/postgres/postgres-core.js';
import { PostgresBackend } from '../../../../lib/backends/postgres/postgres.js';
import { postgresBackend } from '../../../../lib/backends/postgres/postgres-backend.js';
import { PostgresGrant } from '../../../../lib/backends/postgres/postgres-grant.js';
import { SessionOwners } from '../../../../lib/backends/postgres/session-owners.js';
import type { Place } from '../../../../lib/backends/postgres/queues/place.js';
import type { Starving } from '../../../../lib/backends/postgres/queues/queue-site.js';
import { Tenure } from '../../../../lib/backends/postgres/queues/tenure.js';
import type { ServerFacts, Session, Statement } from '../../../../lib/backends/postgres/sessions/session.js';
import { Alarms } from '../../../../lib/common/alarms.js';
import { ConfigError, type LockError, LockUnavailableError, ShuttingDownError } from '../../../../lib/common/errors.js';
import { FakeClock, FakeEntropy, settlePromises } from '../../../support/fake-clock.js';

const CUT = new LockUnavailableError('cut');
const SERVER = 'db:5432/app';
const FACTS: ServerFacts = {
  version: '16.4',
  versionNumber: 160_004,
  systemIdentifier: undefined,
  timeline: 3,
  maxConnections: 100,
  lockTableSize: 6400,
  isPooled: false,
};

/** Connections that only say what a test makes them say. */
class FakeConnections {
  readonly asked: string[] = [];
  readonly sent: Statement[] = [];
  readonly unlocked: UnlockOp[] = [];
  readonly proofs: ((error?: LockError) => void)[] = [];
  session: Session | undefined;
  outage: LockError | undefined;
  facts: ServerFacts | undefined = FACTS;
  startError: LockError | undefined;
  up!: (session: Session, isFirst: boolean) => void;
  down!: (error: LockError) => void;
  fatal!: (error: LockError) => void;
  suspect!: (session: Session) => void;
  freed!: () => void;
  /** Of the commands, the wait sessions and the dialer. */
  readonly degraded: ((detail: string) => void)[] = [];

  get all(): Connections {
    const { asked } = this;
    const onDegraded = (callback: (detail: string) => void): void => void this.degraded.push(callback);
    const commands: Partial<Commands> = {
      counts: { statements: 7, ops: 11, repairs: 1, connects: 2, inBook: 3 },
      onUp: (callback) => (this.up = callback),
      onDown: (callback) => (this.down = callback),
      onFatal: (callback) => (this.fatal = callback),
      onSuspect: (callback) => (this.suspect = callback),
      onDegraded,
      start: async () => {
        asked.push('start');
        if (this.startError) throw this.startError;
      },
      close: async (graceMs) => void asked.push(`close commands ${graceMs}`),
      query: (statement) => void this.sent.push(statement),
      prove: (_, done) => void this.proofs.push(done),
      unlock: (_, op) => void this.unlocked.push(op),
    };
    const waitSessions: Partial<WaitSessions> = {
      open: 2,
      cap: 5,
      counts: { waiting: 1, spare: 1, cancels: 13, confirms: 17 },
      onFree: (callback) => (this.freed = callback),
      onDegraded,
      close: ({ name }) => void asked.push(`close wait sessions: ${name}`),
    };
    const dialer: Partial<Connections['dialer']> = {
      server: SERVER,
      onDegraded,
      close: ({ name }) => void asked.push(`close dialer: ${name}`),
    };
    return {
      dialer: Object.defineProperty(dialer, 'facts', { get: () => this.facts }) as Connections['dialer'],
      commands: Object.defineProperties(commands, {
        session: { get: () => this.session },
        outage: { get: () => this.outage },
      }) as Commands,
      waitSessions: waitSessions as WaitSessions,
    };
  }
}

let clock: FakeClock;
let connections: FakeConnections;
let logged: string[];
let host: BackendHost;

beforeEach(() => {
  clock = new FakeClock();
  connections = new FakeConnections();
  logged = [];
  host = { clock, entropy: new FakeEntropy(), log: (level, message) => logged.push(`${level}: ${message}`) };
});

const newCore = (options: PostgresBackendOptions = {}): PostgresCore =>
  new PostgresCore(resolvePostgres(options), connections.all, host);
const newBackend = (options: PostgresBackendOptions = {}): PostgresBackend =>
  new PostgresBackend(resolvePostgres(options), connections.all, host);
const newSession = (change: Partial<Session> = {}): Session =>
  ({ kind: 'command', pid: 101, server: SERVER, isEnded: false, provenAt: 0, ...change }) as Session;

describe('how many locks a process may have on Postgres', () => {
  it.each([
    [6400, 800],
    [6407, 800],
    [8000, 1000],
    [800_000, 1000],
    [4, 1],
  ])('is an eighth of a table of %i: %i', (lockTableSize, limit) => {
    const core = newCore();
    expect(core.holdings.limit).toBe(Infinity);
    connections.facts = { ...FACTS, lockTableSize };
    connections.up(newSession(), true);
    expect(core.holdings.limit).toBe(limit);
  });

  it('is what the option says, however large the table is', () => {
    const core = newCore({ maxHeld: 5 });
    expect(core.holdings.limit).toBe(5);
    connections.up(newSession(), true);
    expect(core.holdings.limit).toBe(5);
  });

  it('is not known before the server is', () => {
    const core = newCore();
    connections.facts = undefined;
    connections.up(newSession(), true);
    expect(core.holdings.limit).toBe(Infinity);
  });
});

describe('a backend on Postgres', () => {
  it('says what it can', () => {
    const always = {
      ownership: 'connection',
      fence: 'per-key',
      semaphores: true,
      tickets: true,
      signals: false,
      inspect: 'dump',
      leaseUnitMs: 1,
      minLeaseMs: 1,
      waitUnitMs: 1,
      maxKeyBytes: 65_536,
    };
    const backend = newBackend({ sessionTimeoutMs: 20_000 });
    expect(backend.name).toBe('postgres');
    expect(backend.capabilities).toEqual({
      ...always,
      order: 'per-process',
      maxStallMs: 20_000,
      keepAfterRelease: false,
    });
    expect(Object.isFrozen(backend.capabilities)).toBe(true);
    const other = newBackend({ waitersPerKey: Infinity, maxWaitConnections: Infinity, keep: true });
    expect(other.capabilities).toEqual({ ...always, order: 'strict', maxStallMs: 10_000, keepAfterRelease: true });
  });

  it('tells its listeners of the connection, and of what the server cannot, in this order', () => {
    const events: LinkEvent[] = [];
    const backend = newBackend();
    const stop = backend.onLink((event) => events.push(event));
    connections.up(newSession(), true);
    for (const [i, tell] of connections.degraded.entries()) tell(`trouble ${i}`);
    connections.down(CUT);
    expect(events).toEqual([
      { server: SERVER, state: 'up' },
      { server: SERVER, state: 'degraded', detail: 'trouble 0' },
      { server: SERVER, state: 'degraded', detail: 'trouble 1' },
      { server: SERVER, state: 'degraded', detail: 'trouble 2' },
      { server: SERVER, state: 'down', error: CUT },
    ]);
    stop();
    connections.up(newSession(), false);
    expect(events).toHaveLength(5);
  });

  it('tells the same trouble again after ten seconds, not before', () => {
    const details: unknown[] = [];
    newBackend().onLink(({ detail }) => details.push(detail));
    const [tell] = connections.degraded;
    tell!('one');
    tell!('other');
    clock.stall(9999);
    tell!('one');
    expect(details).toEqual(['one', 'other']);
    clock.stall(1);
    tell!('one');
    tell!('one');
    expect(details).toEqual(['one', 'other', 'one']);
  });

  it('tells its listeners that holders had better ask', () => {
    let told = 0;
    const stop = newBackend().onSuspect(() => told++);
    connections.suspect(newSession());
    expect(told).toBe(1);
    stop();
    connections.suspect(newSession());
    expect(told).toBe(1);
  });

  it('logs what is for operators', () => {
    newCore().warn('look');
    expect(logged).toEqual(['warn: look']);
  });

  it('closes once: callers first, and the dialer last', async () => {
    const backend = newBackend();
    const closed = backend.close(700);
    expect(backend.close(1)).toBe(closed);
    await closed;
    expect(connections.asked).toEqual([
      'close commands 700',
      'close wait sessions: ShuttingDownError',
      'close dialer: ShuttingDownError',
    ]);
    await expect(backend.start()).rejects.toBeInstanceOf(ShuttingDownError);
    await expect(backend.ping()).rejects.toMatchObject({ code: 'SHUTTING_DOWN', server: SERVER });
    await expect(backend.stats()).rejects.toBeInstanceOf(ShuttingDownError);
    await expect(backend.isLocked('k', 'lock')).rejects.toBeInstanceOf(ShuttingDownError);
    await expect(backend.tryAcquire({} as AcquireRequest)).rejects.toBeInstanceOf(ShuttingDownError);
    await expect(backend.renew({} as never, 1000)).rejects.toBeInstanceOf(ShuttingDownError);
  });

  it('that was refused may be started again', async () => {
    const backend = newBackend();
    const refused = new ConfigError('no');
    connections.fatal(refused);
    await expect(backend.stats()).rejects.toBe(refused);
    expect(await backend.start()).toBe(backend.capabilities);
    await expect(backend.stats()).resolves.toHaveLength(1);
    expect(connections.asked).toEqual(['start']);
  });

  it('that may not use its table refuses everybody', async () => {
    const backend = newBackend({ keep: true });
    connections.session = newSession();
    connections.up(connections.session, true);
    connections.sent[0]!.answered([[null]]);
    await settlePromises();
    connections.sent[1]!.failed(CUT, '42501');
    await settlePromises();
    await expect(backend.stats()).rejects.toMatchObject({ code: 'CONFIG' });
  });

  it('tells once that callers poll, as long as any does', () => {
    const core = newCore();
    const details: unknown[] = [];
    core.links.add(({ detail }) => details.push(detail));
    const starving = (): Starving => ({ state: 'polling', adjust: () => undefined });
    core.starving(starving());
    clock.stall(60_000);
    core.starving(starving());
    expect(details).toEqual([
      'all 5 wait connections are in use: callers that wait for further keys poll instead (option postgresBackend.maxWaitConnections)',
    ]);
  });

  it('is made of a connection string', () => {
    const backend = postgresBackend('postgres://app@127.0.0.1:1/app', { waitersPerKey: 2 })(host);
    expect([backend.name, backend.capabilities.order]).toEqual(['postgres', 'per-process']);
    expect(() => postgresBackend(undefined)).toThrow(ConfigError);
    expect(() => postgresBackend('postgres://app@127.0.0.1:1/app', { localMs: -1 })).toThrow(ConfigError);
  });

  it('does not start if it cannot be connected', async () => {
    connections.startError = CUT;
    await expect(newBackend().start()).rejects.toBe(CUT);
  });

  it('asks nothing during an outage', async () => {
    const backend = newBackend();
    connections.outage = CUT;
    await expect(backend.ping()).rejects.toBe(CUT);
    await expect(backend.stats()).rejects.toBe(CUT);
    await expect(backend.isLocked('k', 'lock')).rejects.toBe(CUT);
    expect(connections.sent).toEqual([]);
  });

  it('answers a ping with what the server says', async () => {
    const backend = newBackend();
    const [pong, refused, cut] = [backend.ping(), backend.ping(), backend.ping()];
    await settlePromises();
    connections.sent[0]!.answered([['1']]);
    connections.sent[1]!.failed(CUT, '57014');
    connections.sent[2]!.ended(CUT);
    await pong;
    await expect(refused).rejects.toBe(CUT);
    await expect(cut).rejects.toBe(CUT);
  });

  it('does not know whether a lock is taken whose id the server does not tell', async () => {
    const locked = newBackend({ lockId: 'hashtext' }).isLocked('k', 'lock');
    connections.sent[0]!.ended(CUT);
    await expect(locked).rejects.toBe(CUT);
  });

  it('names the option whose function returns no id', async () => {
    const locked = newBackend({ lockId: () => 5 as never }).isLocked('k', 'lock');
    await expect(locked).rejects.toThrow(/^option postgresBackend\.lockId must return a bigint/);
  });

  it('asks for the id of a key once', async () => {
    const backend = newBackend({ lockId: 'hashtext' });
    const both = [backend.isLocked('k', 'lock')];
    connections.sent[0]!.answered([['7']]);
    both.push(backend.isLocked('k', 'lock'));
    expect(connections.sent.map(({ name }) => name)).toEqual([
      'dflockd_hashtext',
      'dflockd_is_held',
      'dflockd_is_held',
    ]);
    for (const { values } of connections.sent.slice(1)) expect(values).toEqual(['0', '7', 1]);
    for (const statement of connections.sent.slice(1)) statement.answered([['t']]);
    expect(await Promise.all(both)).toEqual([true, true]);
  });

  it.each(['lock', 'sem'] as const)('asks the server whether a %s is taken', async (kind) => {
    const backend = newBackend();
    const [taken, free, failed] = [
      backend.isLocked('k', kind),
      backend.isLocked('k', kind),
      backend.isLocked('k', kind),
    ];
    expect(connections.sent[0]!.name).toBe(kind === 'lock' ? 'dflockd_is_held' : 'dflockd_has_held_slot');
    connections.sent[0]!.answered([['t']]);
    connections.sent[1]!.answered([['f']]);
    connections.sent[2]!.ended(CUT);
    expect([await taken, await free]).toEqual([true, false]);
    await expect(failed).rejects.toBe(CUT);
  });

  it('has statistics', async () => {
    const backend = newBackend({ maxHeld: 50 });
    connections.session = newSession();
    const all = {
      server: SERVER,
      version: '16.4',
      timeline: 3,
      maxConnections: 100,
      connections: 3,
      held: 0,
      maxHeld: 50,
      queues: 0,
      waiters: 0,
      places: 0,
      polling: 0,
      statements: 7,
      ops: 11,
      confirms: 17,
      cancels: 13,
      repairs: 1,
    };
    expect(await backend.stats()).toEqual([all]);
    [connections.session, connections.facts] = [undefined, undefined];
    expect(await backend.stats()).toEqual([
      { ...all, version: '', timeline: undefined, maxConnections: 0, connections: 2 },
    ]);
  });
});

describe('a renewal of what Postgres has', () => {
  let core: PostgresCore;
  let session: Session & { isEnded: boolean; provenAt: number };
  let released: number;
  const request = { kind: 'lock', key: 'k', limit: 1, leaseMs: 60_000, deadline: 0 } as AcquireRequest;
  const keeper = { release: () => void released++ };
  const newGrant = (place?: Place): PostgresGrant =>
    core.grant(request, new Tenure(keeper, 7n, session, 5n, 0, 0, place), 60_000);

  beforeEach(() => {
    core = newCore();
    released = 0;
    session = newSession();
  });

  it('asks nothing before a third of the session time, and the command session from then on', async () => {
    const grant = newGrant();
    clock.stall(3333);
    expect(await core.renew(grant, 1000)).toEqual({ validFrom: 3333, leaseMs: 1000 });
    expect(connections.proofs).toEqual([]);
    clock.stall(1);
    const proof = core.renew(grant, 2000);
    clock.stall(10);
    connections.proofs[0]!();
    expect(await proof).toEqual({ validFrom: 3344, leaseMs: 2000 });
  });

  it('asks nothing within a third of the session time after the last proof', async () => {
    const grant = newGrant();
    clock.stall(20_000);
    session.provenAt = 17_000;
    expect(await core.renew(grant, 1000)).toEqual({ validFrom: 20_000, leaseMs: 1000 });
    expect(connections.proofs).toEqual([]);
  });

  it('asks the place whose session has it', async () => {
    let confirmed: ((error?: LockError) => void) | undefined;
    const grant = newGrant({ confirm: (done: typeof confirmed) => (confirmed = done) } as unknown as Place);
    clock.stall(5000);
    const proof = core.renew(grant, 1000);
    expect(connections.proofs).toEqual([]);
    confirmed!();
    expect(await proof).toEqual({ validFrom: 5000, leaseMs: 1000 });
  });

  it('that is not answered fails, and the lock is still held', async () => {
    const grant = newGrant();
    clock.stall(5000);
    const proof = core.renew(grant, 1000);
    connections.proofs[0]!(CUT);
    await expect(proof).rejects.toBe(CUT);
    expect(grant.isOver).toBe(false);
  });

  it.each<[string, string, (grant: PostgresGrant) => void]>([
    ['the lock is released', 'rejected', (grant) => core.end(grant, () => undefined)],
    ['the session ends', 'disconnected', () => (session.isEnded = true)],
  ])('is refused if %s meanwhile', async (_, reason, happens) => {
    const grant = newGrant();
    clock.stall(5000);
    const proof = core.renew(grant, 1000);
    happens(grant);
    connections.proofs[0]!(CUT);
    const lost = { code: 'LOCK_LOST', reason, key: 'k', server: SERVER };
    await expect(proof).rejects.toMatchObject({ ...lost, cause: CUT });
    await expect(core.renew(grant, 1000)).rejects.toMatchObject(lost);
  });

  it('is refused although the session was just proven, if it has ended', async () => {
    const grant = newGrant();
    session.isEnded = true;
    await expect(core.renew(grant, 1000)).rejects.toMatchObject({ code: 'LOCK_LOST', reason: 'disconnected' });
  });

  it('keeps the lock until its own end, and not longer', async () => {
    const grant = newGrant();
    await core.renew(grant, 1000);
    await clock.advanceAsync(999);
    expect([grant.isOver, released]).toEqual([false, 0]);
    await clock.advanceAsync(1);
    expect([grant.isOver, released]).toEqual([true, 1]);
    core.end(grant, (outcome) => expect(outcome).toBe('gone'));
    expect(released).toBe(1);
  });
});

describe('the leases of a process', () => {
  let leases: Leases;
  let over: string[];

  beforeEach(() => {
    over = [];
    leases = new Leases(clock, new Alarms(clock), ({ req }) => over.push(req.key));
  });

  const add = (key: string, until: number): PostgresGrant => {
    const grant = { req: { key }, until, prev: undefined, next: undefined } as unknown as PostgresGrant;
    leases.add(grant);
    return grant;
  };

  it('end in time, whatever the order in which they came', () => {
    add('late', 300);
    add('early', 100);
    add('later', 500);
    clock.advance(99);
    expect(over).toEqual([]);
    clock.advance(1);
    expect([over, leases.size]).toEqual([['early'], 2]);
    clock.advance(200);
    expect(over).toEqual(['early', 'late']);
    clock.advance(200);
    expect([over, leases.size]).toEqual([['early', 'late', 'later'], 0]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('that end at the same time end together', () => {
    add('one', 100);
    add('other', 100);
    clock.advance(100);
    expect(over).toEqual(['one', 'other']);
  });

  it('that are removed do not end', () => {
    leases.remove(add('one', 100));
    add('other', 200);
    clock.advance(200);
    expect(over).toEqual(['other']);
  });

  it('may be moved to an earlier or a later time', () => {
    const [one, other] = [add('one', 100), add('other', 200)];
    leases.move(one, 400);
    leases.move(other, 50);
    clock.advance(50);
    expect(over).toEqual(['other']);
    clock.advance(349);
    expect(over).toEqual(['other']);
    clock.advance(1);
    expect(over).toEqual(['other', 'one']);
  });

  it('that are moved delay nobody else', () => {
    const [, other] = [add('one', 100), add('other', 50)];
    leases.move(other, 500);
    clock.advance(100);
    expect(over).toEqual(['one']);
  });

  it('that are renewed by what lies in the socket after a stall do not end', () => {
    const one = add('one', 100);
    clock.afterPoll(() => leases.move(one, 500));
    clock.advance(100);
    expect(over).toEqual([]);
    clock.advance(400);
    expect(over).toEqual(['one']);
  });
});

describe('the owners of what Postgres grants', () => {
  it('are the same for a session, and others for others', () => {
    const owners = new SessionOwners();
    const [command, wait, other] = [newSession(), newSession({ kind: 'wait', pid: 102 }), newSession({ pid: 103 })];
    const ids = [command, wait, command, other, wait].map((session) => owners.of(session));
    expect(ids.map(({ id }) => id)).toEqual([
      `command#101@${SERVER}`,
      `wait#102@${SERVER}`,
      `command#101@${SERVER}`,
      `command#103@${SERVER}`,
      `wait#102@${SERVER}`,
    ]);
    expect(ids[2]).toBe(ids[0]);
    expect(ids[4]).toBe(ids[1]);
    expect(owners.of(command)).toBe(ids[0]);
  });
});

describe('a grant of Postgres', () => {
  const keeper = { release: () => undefined };
  const tokenOf = (id: bigint | readonly [number, number], number: number): string =>
    new PostgresGrant({} as never, new Tenure(keeper, id, newSession(), 5n, 90, 100), {} as never, 1000, number).token;

  it('has a token that names the session, the lock and the turn', () => {
    expect(tokenOf(255n, 3)).toBe('101-ff-3');
    expect(tokenOf(-1n, 4)).toBe('101-ffffffffffffffff-4');
    expect(tokenOf([-1, 16], 5)).toBe('101-ffffffff.10-5');
  });

  it('lasts from the time when it was held for certain', () => {
    const tenure = new Tenure(keeper, 7n, newSession(), 5n, 90, 100);
    const grant = new PostgresGrant({} as never, tenure, {} as never, 1000, 1);
    expect(grant).toMatchObject({ fence: 5n, validFrom: 90, until: 1090, leaseMs: 1000, server: SERVER });
  });
});

describe('the ids that Postgres computes', () => {
  const asked: Statement[] = [];
  let ids: HashedIds;
  let told: unknown[];
  const ask = (key: string, hash: 'hashtext' | 'hashtextextended' = 'hashtext'): void =>
    ids.ask(hash, key, (id, error) => told.push([key, id, error]));

  beforeEach(() => {
    asked.length = 0;
    told = [];
    ids = new HashedIds({ query: (statement) => void asked.push(statement) });
  });

  it('are asked for once a key at a time, by the function of the option', () => {
    ask('a');
    ask('a');
    ask('b', 'hashtextextended');
    expect(asked.map(({ name, values }) => [name, values])).toEqual([
      ['dflockd_hashtext', ['a']],
      ['dflockd_hashtextextended', ['b']],
    ]);
    asked[0]!.answered([['-7']]);
    expect(told).toEqual([
      ['a', -7n, undefined],
      ['a', -7n, undefined],
    ]);
    ask('a');
    expect(asked).toHaveLength(3);
  });

  it.each([
    ['is refused', (statement: Statement) => statement.failed(CUT, '57014')],
    ['ends with its session', (statement: Statement) => statement.ended(CUT)],
  ])('are unknown if the statement %s, and are asked for again', (_, fails) => {
    ask('a');
    ask('a');
    fails(asked[0]!);
    expect(told).toEqual([
      ['a', undefined, CUT],
      ['a', undefined, CUT],
    ]);
    ask('a');
    expect(asked).toHaveLength(2);
  });
});
