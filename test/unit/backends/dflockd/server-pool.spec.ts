import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RemoteConfig } from '../../../../lib/backends/dflockd/lanes/config.js';
import type { Lane } from '../../../../lib/backends/dflockd/lanes/lane.js';
import type { WhyWait } from '../../../../lib/backends/dflockd/lanes/wait-lanes.js';
import { ServerPool } from '../../../../lib/backends/dflockd/server-pool.js';
import { AuthError, ConfigError, LockError, LockUnavailableError } from '../../../../lib/common/errors.js';
import { systemClock } from '../../../../lib/common/system.js';
import type { Reply, Request } from '../../../../lib/protocol/messages.js';
import { FakeEntropy } from '../../../support/fake-clock.js';
import { stopwatch } from '../../../support/stopwatch.js';
import { inTime, until } from '../../../support/until.js';
import { FakeServer, obliging } from './support/fake-server.js';

let server: FakeServer;
let pool: ServerPool;
let links: string[];

beforeEach(async () => {
  server = await FakeServer.start(obliging);
});

afterEach(async () => {
  await pool.close(50);
  expect(pool.alarms.size + pool.waits.size).toBe(0);
  await server.close();
});

function make(change: Partial<RemoteConfig> = {}): ServerPool {
  links = [];
  const config: RemoteConfig = {
    endpoints: [server.endpoint],
    tls: undefined,
    auth: undefined,
    shardingStrategy: undefined,
    connectTimeoutMs: 500,
    requestTimeoutMs: 500,
    readTimeoutMs: 23_000,
    reconnect: { minDelayMs: 5, maxDelayMs: 40 },
    commandLanes: 1,
    maxWaitLanes: 2,
    waitersPerKey: 8,
    placeLeaseMs: 3000,
    autoRelease: true,
    fencing: 'none',
    ...change,
  };
  pool = new ServerPool(server.endpoint, config, systemClock, new FakeEntropy(), {
    link: (_, state) => links.push(state),
    degraded: (_, detail) => links.push(detail),
    hastened: (_, detail) => links.push(detail),
  });
  return pool;
}

const wait = (why: WhyWait = 'head'): Promise<Lane | undefined> =>
  new Promise((resolve, reject) => {
    const stop = pool.wait(why, (outcome) => (outcome instanceof LockError ? reject(outcome) : resolve(outcome)));
    if (!stop) resolve(undefined);
  });

const waitLane = async (why: WhyWait = 'head'): Promise<Lane> => (await wait(why))!;

const command = (deadline = Infinity): Promise<Lane> =>
  new Promise((resolve, reject) => {
    pool.whenCommand(deadline, (outcome) => (outcome instanceof LockError ? reject(outcome) : resolve(outcome)));
  });

const ask = (lane: Lane, request: Request): Promise<Reply> =>
  new Promise((resolve, reject) => {
    lane.send(request, (outcome) => (outcome instanceof LockError ? reject(outcome) : resolve(outcome)));
  });

const blocking: Request = { t: 'acquire', kind: 'lock', key: 'k', limit: 1, waitMs: 5000, leaseMs: 0 };

describe('the command lane', () => {
  it('is there after the start, and again after it was lost', async () => {
    await make().start();
    const first = pool.command()!;
    server.peers[0]!.reset();
    await until(() => first.isEnded, 'the end');
    const second = await inTime(command(), 'the next');
    expect(second).not.toBe(first);
    expect(links).toEqual(['up', 'down', 'up']);
  });

  it('tries again and again, and nothing is said to be lost that never was', async () => {
    const { port } = server;
    await server.close();
    await expect(make().start()).rejects.toBeInstanceOf(LockUnavailableError);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(links).toEqual([]);
    server = await FakeServer.start(obliging, port);
    // An attempt may fail between the check and the listening.
    const lane = await until(() => command().catch(() => undefined), 'the lane');
    expect(lane.state).toBe('free');
    expect(links).toEqual(['up']);
  });

  it('is given up for good when auth is refused', async () => {
    server.script = () => 'error_auth\n';
    await expect(make({ auth: 'token' }).start()).rejects.toBeInstanceOf(AuthError);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(server.peers).toHaveLength(1);
    await expect(command()).rejects.toBeInstanceOf(AuthError);
    expect(pool.command()).toBeUndefined();
  });

  it('is waited for until the deadline at most', async () => {
    await server.close();
    make({ reconnect: { minDelayMs: 10_000, maxDelayMs: 10_000 } });
    await expect(command()).rejects.toBeInstanceOf(LockUnavailableError);
    const took = stopwatch();
    await expect(command(systemClock.now() + 60)).rejects.toThrow('not connected in time');
    expect(took()).toBeLessThan(400);
    server = await FakeServer.start();
  });

  it('is waited for no longer than one connect timeout, whatever the deadline', async () => {
    await server.close();
    make({ connectTimeoutMs: 60, reconnect: { minDelayMs: 10_000, maxDelayMs: 10_000 } });
    await expect(command()).rejects.toBeInstanceOf(LockUnavailableError);
    // The next attempt is far away.
    const began = performance.now();
    await expect(command()).rejects.toThrow('not connected in time');
    expect(performance.now() - began).toBeLessThan(2000);
    server = await FakeServer.start();
  });

  it('that is suspect keeps its grants and is replaced; when they are released it goes', async () => {
    await make({ requestTimeoutMs: 40 }).start();
    const old = pool.command()!;
    await ask(old, { t: 'ping' });
    old.adopt();
    server.script = (request, peer) => (peer === server.peers[0] ? undefined : obliging(request, peer));
    await expect(ask(old, { t: 'ping' })).rejects.toThrow('no answer');
    const next = await inTime(command(), 'the replacement');
    expect(next).not.toBe(old);
    expect(old.state).toBe('suspect');
    expect(pool.stats()).toMatchObject({ command: 2 });
    expect(old.grants).toBe(1);
    server.peers[0]!.say('ok\n');
    await until(() => old.state === 'holding', 'the trust');
    old.disown();
    await until(() => old.isEnded, 'the end of the old one');
    expect(links).toEqual(['up']);
  });
});

describe('TLS options that Node refuses', () => {
  const tls = { minVersion: 'TLSv9' } as unknown as RemoteConfig['tls'];

  it('are told as such wherever a connection is wanted, and nothing is tried again', async () => {
    await expect(make({ tls }).start()).rejects.toThrow(/^option remote.tls: .*TLSv9/);
    await expect(command()).rejects.toBeInstanceOf(ConfigError);
    expect(() => pool.wait('ticket', () => undefined)).toThrow(ConfigError);
    const asked = new Promise((_, reject) => pool.ask({ t: 'stats' }, reject));
    await expect(asked).rejects.toBeInstanceOf(ConfigError);
    expect(server.peers).toHaveLength(0);
    expect(pool.alarms.size).toBe(0);
  });
});

describe('wait lanes', () => {
  it('are opened on demand and used again', async () => {
    await make().start();
    const lane = await waitLane();
    await ask(lane, blocking);
    expect(pool.stats()).toMatchObject({ blocked: 0, free: 1 });
    expect(await wait()).toBe(lane);
    expect(pool.stats()).toMatchObject({ blocked: 1, free: 0 });
    await ask(lane, blocking);
  });

  it('are capped', async () => {
    await make().start();
    const [a] = await Promise.all([waitLane(), waitLane()]);
    expect(await wait()).toBeUndefined();
    a.end(new LockUnavailableError('test'));
    expect(await wait()).toBeDefined();
  });

  it('are kept for the first places of keys when they become few', async () => {
    await make({ maxWaitLanes: 4 }).start();
    for (let i = 0; i < 3; i++) expect(await wait('extra')).toBeDefined();
    expect(await wait('extra')).toBeUndefined();
    expect(await wait('head')).toBeDefined();
    expect(await wait('ticket')).toBeUndefined();
  });

  it('are closed when they have not been needed for a while', async () => {
    await make({ readTimeoutMs: 400 }).start();
    const lane = await waitLane();
    await ask(lane, blocking);
    await until(() => lane.isEnded, 'the end');
    expect(pool.stats()).toMatchObject({ blocked: 0, free: 0 });
  });

  it('that nobody waits for any more are not opened', async () => {
    await make().start();
    let called = false;
    const cancel = pool.wait('head', () => (called = true))!;
    expect(pool.stats().blocked).toBe(1);
    cancel();
    expect(pool.stats().blocked).toBe(0);
    await wait();
    expect(called).toBe(false);
  });

  it('that cannot be opened say why', async () => {
    await make().start();
    await server.close();
    await expect(wait()).rejects.toBeInstanceOf(LockUnavailableError);
    server = await FakeServer.start();
  });
});

describe('the control lane', () => {
  const control = (request: Request): Promise<Reply> =>
    new Promise((resolve, reject) => {
      pool.ask(request, (outcome) => (outcome instanceof LockError ? reject(outcome) : resolve(outcome)));
    });

  it('is a connection of its own, opened on demand, for all that ask', async () => {
    await make().start();
    expect(server.peers).toHaveLength(1);
    const answers = await Promise.all([control({ t: 'stats' }), control({ t: 'stats' })]);
    expect(answers.map((a) => a.s)).toEqual(['stats', 'stats']);
    expect(server.peers).toHaveLength(2);
    expect(server.peers[1]!.requests).toHaveLength(2);
  });

  it('costs no lock when its answer is too much', async () => {
    await make().start();
    server.script = (request, peer) => (request.t === 'stats' ? 'nonsense\n' : obliging(request, peer));
    await expect(control({ t: 'stats' })).rejects.toThrow('unexpected line');
    expect(pool.command()!.state).toBe('free');
  });
});

describe('close', () => {
  it('waits for outstanding answers', async () => {
    await make().start();
    server.script = () => undefined;
    const answer = ask(pool.command()!, { t: 'ping' });
    await until(() => server.peers[0]!.requests.length, 'the request');
    const closing = pool.close(60_000);
    server.peers[0]!.say('ok\n');
    expect(await answer).toEqual({ s: 'ok' });
    await inTime(closing, 'the close');
  });

  it('but not for ever', async () => {
    await make().start();
    server.script = () => undefined;
    const answer = ask(pool.command()!, { t: 'ping' });
    await until(() => server.peers[0]!.requests.length, 'the request');
    await inTime(pool.close(30), 'the close');
    await expect(answer).rejects.toThrow('shutting down');
    await expect(wait()).rejects.toThrow('shutting down');
    await expect(command()).rejects.toThrow('shutting down');
    await expect(
      new Promise((_, reject) => pool.ask({ t: 'ping' }, (outcome) => outcome instanceof LockError && reject(outcome))),
    ).rejects.toThrow('shutting down');
  });
});
