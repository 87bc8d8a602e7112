import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RemoteConfig } from '../../../lib/client/config.js';
import type { Lane } from '../../../lib/client/lane.js';
import { ServerPool } from '../../../lib/client/server-pool.js';
import { LockError } from '../../../lib/common/errors.js';
import type { Request } from '../../../lib/protocol/messages.js';
import { FakeClock } from '../../support/fake-clock.js';
import { until } from '../../support/until.js';
import { FakeServer, obliging, type Peer } from './support/fake-server.js';

let server: FakeServer;
let clock: FakeClock;
let pool: ServerPool;
let told: string[];

function make(change: Partial<RemoteConfig> = {}): void {
  told = [];
  clock = new FakeClock({ now: 1000 });
  const config: RemoteConfig = {
    endpoints: [server.endpoint],
    tls: undefined,
    auth: undefined,
    shardingStrategy: undefined,
    connectTimeoutMs: 2000,
    requestTimeoutMs: 1000,
    readTimeoutMs: 24_000,
    reconnect: { minDelayMs: 100, maxDelayMs: 1000 },
    commandLanes: 2,
    maxWaitLanes: 3,
    waitersPerKey: 1,
    autoRelease: true,
    fencing: 'none',
    ...change,
  };
  const entropy = { unit: () => 1, fill: () => undefined };
  pool = new ServerPool(server.endpoint, config, clock, entropy, {
    link: (label, state, error) => told.push([label === server.endpoint.label && state, error?.code].join(' ').trim()),
    degraded: (_, detail) => told.push(detail),
    hastened: (_, detail) => told.push(detail),
  });
}

beforeEach(async () => {
  server = await FakeServer.start(obliging);
  make();
});

afterEach(async () => {
  const closed = pool.close(0);
  clock.advance(0);
  await closed;
  expect(pool.alarms.size + pool.waits.size).toBe(0);
  await server.close();
});

const nothing = (): void => undefined;
const PING: Request = { t: 'ping' };

/** All command lanes and the control lane. */
async function allUp(): Promise<void> {
  await pool.start();
  await until(() => server.peers.length === 3 && pool.stats().command === 2, 'all connections');
  await until(() => commands().length === 2, 'two command lanes');
}

/** The command lanes that can be used, the next one first. */
function commands(): Lane[] {
  const found: Lane[] = [];
  for (let lane = pool.command(); lane && !found.includes(lane); lane = pool.command()) {
    found.push(lane);
    lane.adopt();
  }
  for (const lane of found) lane.disown();
  return found;
}

/** A connected wait lane. */
const waitLane = (): Promise<Lane> =>
  new Promise((resolve, reject) => {
    pool.wait('head', (outcome) => (outcome instanceof LockError ? reject(outcome) : resolve(outcome)));
  });

/** Whose requests have been of this kind. */
const peersOf = (t: string): Peer[] => server.peers.filter(({ requests }) => requests.some((r) => r.t === t));

describe('the command lanes of a pool', () => {
  it('are all connected at the start; the one that owns least is used', async () => {
    await allUp();
    expect(told).toEqual(['up']);
    const [a, b] = commands();
    a!.adopt();
    a!.adopt();
    b!.adopt();
    expect(pool.command()!.id).toBe(b!.id);
    a!.disown();
    a!.disown();
    expect(pool.command()!.id).toBe(a!.id);
    b!.disown();
  });

  it('are up as long as one is', async () => {
    await allUp();
    const [a, b] = commands();
    a!.end(new LockError('lost'));
    expect(told).toEqual(['up']);
    b!.end(new LockError('lost'));
    expect(told).toEqual(['up', 'down LOCK_ERROR']);
    clock.advance(100);
    await until(() => told.length > 2);
    expect(told).toEqual(['up', 'down LOCK_ERROR', 'up']);
  });

  it('that cannot be had are told to who starts', async () => {
    await server.close();
    await expect(pool.start()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(told).toEqual(['down UNAVAILABLE']);
    server = await FakeServer.start();
  });

  it('are waited for as long as the connector may take to say what is wrong', async () => {
    make({ auth: 'x' });
    server.script = () => undefined;
    const outcomes: string[] = [];
    pool.whenCommand(Infinity, (outcome) => outcomes.push((outcome as LockError).message));
    await until(() => peersOf('auth').length === 2);
    clock.advance(1999);
    expect(outcomes).toEqual([]);
    clock.advance(1);
    expect(outcomes).toEqual([`cannot reach ${server.endpoint.label}: no connection within 2000 ms`]);
    expect(pool.waits.size).toBe(0);
  });

  it.each([
    ['the deadline', 1500, 500],
    ['one connect timeout and a bit', Infinity, 2050],
  ])('between two attempts are waited for until %s', async (_, deadline, patience) => {
    make({ reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 } });
    await server.close();
    await expect(pool.start()).rejects.toBeInstanceOf(LockError);
    await until(() => pool.stats().command === 0);
    server = await FakeServer.start();
    const outcomes: unknown[] = [];
    pool.whenCommand(deadline, (outcome) => outcomes.push(outcome));
    pool.whenCommand(deadline, () => outcomes.push('cancelled'))();
    expect(pool.waits.size).toBe(1);
    clock.advance(patience - 1);
    expect(outcomes).toEqual([]);
    clock.advance(1);
    const message = `${pool.server}: not connected in time`;
    expect(outcomes).toEqual([expect.objectContaining({ message, server: pool.server, code: 'UNAVAILABLE' })]);
    expect(pool.waits.size).toBe(0);
  });

  it('are called back for once', async () => {
    let count = 0;
    pool.whenCommand(Infinity, () => count++);
    await until(() => pool.stats().command === 2 && commands().length === 2);
    expect([count, pool.waits.size]).toEqual([1, 0]);
    pool.whenCommand(Infinity, () => count++)();
    expect(count).toBe(2);
  });
});

describe('a server that is less patient than was thought', () => {
  const silence = async (ms: number): Promise<void> => {
    const lane = await waitLane();
    clock.stall(ms);
    server.peers.at(-1)!.say('error\n');
    await until(() => lane.isEnded);
  };

  it('is spoken to more often on all lanes, and that is said', async () => {
    await allUp();
    const holder = await waitLane();
    holder.adopt();
    await until(() => server.peers.length === 4);
    await silence(3000);
    expect(pool.readTimeoutMs).toBe(3000);
    expect(told.slice(1)).toEqual([
      'connections are closed after 3.0 s of silence, not after 24 s (option remote.readTimeoutS): they speak more often from now on',
    ]);
    clock.advance(0);
    await until(() => peersOf('ping').length >= 4, 'heartbeats');
    holder.end(new LockError('over'));
  });

  it('is not believed to close at once', async () => {
    await allUp();
    await silence(1);
    expect(pool.readTimeoutMs).toBe(500);
  });

  it('is no news when it is about what was thought', async () => {
    await allUp();
    await silence(21_600);
    expect([pool.readTimeoutMs, told.length]).toEqual([21_600, 1]);
  });

  it('is never more patient than the option says', async () => {
    await allUp();
    await silence(30_000);
    expect(pool.readTimeoutMs).toBe(24_000);
  });
});

describe('a server that shuts down', () => {
  beforeEach(() => {
    server.script = (r, peer) => (r.t === 'stats' ? 'error_draining\n' : obliging(r, peer));
  });

  const drain = async (): Promise<void> => {
    const errors: unknown[] = [];
    pool.ask({ t: 'stats' }, (outcome) => errors.push(outcome));
    await until(() => errors.length > 0);
    expect(errors).toEqual([expect.objectContaining({ code: 'DRAINING' })]);
  };

  it('is told once, and all lanes that own something fall silent', async () => {
    await allUp();
    const [a, b] = commands();
    const wait = await waitLane();
    for (const lane of [a!, wait]) lane.adopt();
    server.refuse();
    b!.send({ t: 'stats' }, nothing);
    await drain();
    expect([pool.draining, told.filter((what) => what === 'draining').length]).toEqual([true, 1]);
    expect([a!.state, b!.state, wait.state]).toEqual(['draining', 'closed', 'draining']);
    for (const lane of [a!, wait]) lane.disown();
  });

  it('is forgotten when another one is found at its address', async () => {
    await allUp();
    await drain();
    await until(() => pool.command(), 'a new lane');
    expect([pool.draining, told]).toEqual([false, ['up', 'draining', 'up']]);
  });

  it('costs nothing where the end of a connection frees nothing', async () => {
    make({ autoRelease: false });
    await allUp();
    const [a] = commands();
    a!.adopt();
    await drain();
    expect([a!.state, pool.draining]).toEqual(['holding', true]);
    a!.disown();
  });
});

describe('the figures of a pool', () => {
  it('tell its lanes by what they do', async () => {
    await allUp();
    expect(pool.stats()).toEqual({ command: 2, blocked: 0, holding: 0, free: 0, polling: 0 });
    const [holding, free] = [await waitLane(), await waitLane()];
    holding.adopt();
    expect(pool.stats()).toMatchObject({ blocked: 1, holding: 1, free: 0 });
    free.adopt();
    free.disown();
    expect(pool.stats()).toMatchObject({ blocked: 0, holding: 1, free: 1 });
    holding.disown();
  });
});

describe('the end of a pool', () => {
  it('waits for what is outstanding, and no longer than for that', async () => {
    await allUp();
    server.script = () => undefined;
    const lane = pool.command()!;
    const outcomes: unknown[] = [];
    lane.send(PING, (outcome) => outcomes.push(outcome));
    await until(() => peersOf('ping').length > 0);
    let closed = false;
    const closing = pool.close(1000).then(() => (closed = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect([closed, pool.command()]).toEqual([false, undefined]);
    peersOf('ping')[0]!.say('ok\n');
    await closing;
    expect(outcomes).toEqual([{ s: 'ok' }]);
    await until(() => server.peers.every(({ ended }) => ended));
  });

  it('waits for a grant of a wait lane no longer than it is told to', async () => {
    await allUp();
    server.script = () => undefined;
    const lane = await waitLane();
    lane.send({ t: 'acquire', kind: 'lock', key: 'k', limit: 1, waitMs: 1000, leaseMs: 0 }, nothing);
    let closed = false;
    const closing = pool.close(300).then(() => (closed = true));
    await clock.advanceAsync(299);
    expect([closed, lane.isEnded]).toEqual([false, false]);
    await clock.advanceAsync(1);
    await closing;
    expect(lane.isEnded).toBe(true);
    expect(() => pool.wait('head', nothing)).toThrow('shutting down');
  });

  it('is told to who listens and to who asks', async () => {
    await allUp();
    const errors: unknown[] = [];
    pool.listeners.subscribe('a', '', { signal: nothing, failed: ({ code }) => errors.push(code) });
    await pool.close(0);
    pool.ask(PING, (outcome) => errors.push((outcome as LockError).code));
    expect(errors).toEqual(['SHUTTING_DOWN', 'SHUTTING_DOWN']);
  });
});
