import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Lane } from '../../../../lib/backends/dflockd/lanes/lane.js';
import type { ServerPool } from '../../../../lib/backends/dflockd/server-pool.js';
import { LockError } from '../../../../lib/common/errors.js';
import type { FakeClock } from '../../../support/fake-clock.js';
import { until } from '../../../support/until.js';
import { FakeWaiter } from './support/fake-lane.js';
import { type FakeServer, obliging, type Peer } from './support/fake-server.js';
import { type OpenPool, usePool } from './support/open-pool.js';

let server: FakeServer;
let opened: OpenPool;
let clock: FakeClock;
let pool: ServerPool;
let told: string[];

const make = usePool((one) => {
  opened = one;
  ({ server, clock, pool, told } = opened);
});

const nothing = (): void => undefined;
const allUp = (): Promise<void> => opened.allUp();
const commands = (): Lane[] => opened.commands();
const waitLane = (): Promise<Lane> => opened.waitLane();
const peersOf = (t: string): Peer[] => opened.peersOf(t);

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
    server.peers.at(-1)!.proves = false;
    holder.adopt();
    await until(() => server.peers.length === 4);
    await silence(3000);
    expect(pool.readTimeoutMs).toBe(3000);
    expect(told.slice(1)).toEqual([
      'the server closes connections after 3.0 s of silence, not 24 s (option remote.readTimeoutS): heartbeats are sent more often from now on',
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

describe('a key queue of a pool', () => {
  it('that polls says so, and gets the next lane that is spare', async () => {
    make({ maxWaitLanes: 1 });
    server.script = (r, peer) => (r.t === 'acquire' ? (r.waitMs > 0 ? undefined : 'timeout\n') : obliging(r, peer));
    await allUp();
    const wait = await waitLane();
    wait.adopt();
    const waiter = new FakeWaiter();
    const queue = pool.queues.findOrMake({ kind: 'lock', key: 'k', limit: 1 });
    queue.join(waiter);
    expect([queue.state, pool.stats().polling]).toEqual(['polling', 1]);
    expect(told.at(-1)).toMatch(/^all 1 wait lanes are in use/);
    wait.disown();
    expect([queue.state, pool.stats()]).toMatchObject(['queued', { polling: 0, blocked: 1 }]);
    queue.leave(waiter);
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
