import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Backoff } from '../../../../../lib/common/backoff.js';
import { Lane } from '../../../../../lib/backends/dflockd/lanes/lane.js';
import { Shortage } from '../../../../../lib/backends/dflockd/lanes/shortage.js';
import { WaitLanes, type WhyWait } from '../../../../../lib/backends/dflockd/lanes/wait-lanes.js';
import { LockError, ShuttingDownError } from '../../../../../lib/common/errors.js';
import { until } from '../../../../support/until.js';
import { fakeContext, type FakeContext } from '../support/fake-context.js';
import { FakeServer, obliging } from '../support/fake-server.js';

let server: FakeServer;
let context: FakeContext;
let lanes: WaitLanes;
let shortage: Shortage;
let spares: number;
let degraded: string[];
let isLinked: boolean;

function make(max: number, readTimeoutMs = 24_000): void {
  context = fakeContext(server, { readTimeoutMs });
  spares = 0;
  const { clock, alarms, drainProbe } = context;
  shortage = new Shortage({
    clock,
    alarms,
    drainProbe,
    backoff: new Backoff(100, 1000, { unit: () => 1, fill: () => undefined }),
    isLinked: () => isLinked,
    spare: () => spares++,
    degraded: (detail) => degraded.push(detail),
  });
  degraded = [];
  isLinked = true;
  lanes = new WaitLanes(context, max, shortage, () => spares++);
}

beforeEach(async () => {
  server = await FakeServer.start(obliging);
  make(4);
});

afterEach(async () => {
  lanes.destroy(new LockError('test over'));
  shortage.close();
  expect([context.alarms.size, lanes.lanes.size, lanes.freeCount]).toEqual([0, 0, 0]);
  await server.close();
});

const outcome = (why: WhyWait = 'head'): Promise<Lane | LockError> =>
  new Promise((resolve) => expect(lanes.take(why, resolve)).toBeDefined());

async function take(why: WhyWait = 'head'): Promise<Lane> {
  const lane = await outcome(why);
  if (lane instanceof Lane) return lane;
  throw lane;
}

/** What it was used for is over. */
function free(lane: Lane): void {
  lane.adopt();
  lane.disown();
}

const nothing = (): void => undefined;

describe('wait lanes', () => {
  it('are connected on demand, for waiting', async () => {
    const lane = await take();
    expect([lane.role, lane.state, lanes.lanes.size, lanes.freeCount]).toEqual(['wait', 'free', 1, 0]);
  });

  it('that are free are used again, the freshest first', async () => {
    const [a, b] = [await take(), await take()];
    free(a);
    free(b);
    free(b);
    free(a);
    expect([lanes.freeCount, server.peers.length]).toEqual([2, 2]);
    const again: (string | undefined)[] = [];
    for (let i = 0; i < 2; i++) {
      lanes.take('head', (lane) => again.push((lane as Lane).id))?.();
    }
    expect(again).toEqual([a.id, b.id]);
    expect([lanes.freeCount, lanes.lanes.size]).toEqual([0, 2]);
  });

  it('are as many as the option says; each that is free again is offered', async () => {
    const all = [await take(), await take(), await take(), await take()];
    expect(lanes.take('head', nothing)).toBeUndefined();
    expect(lanes.take('ticket', nothing)).toBeUndefined();
    expect(spares).toBe(0);
    free(all[0]!);
    expect(spares).toBe(1);
    expect((await take()).id).toBe(all[0]!.id);
    all[1]!.end(new LockError('lost'));
    expect([spares, lanes.lanes.size]).toEqual([2, 3]);
  });

  it('are not all given to further places of keys: a quarter is kept for first ones', async () => {
    await take('extra');
    await take('extra');
    const third = await take('extra');
    expect(lanes.take('extra', nothing)).toBeUndefined();
    free(third);
    await take('extra');
    expect(lanes.take('extra', nothing)).toBeUndefined();
    await take('ticket');
    expect(lanes.take('head', nothing)).toBeUndefined();
  });

  it('may be unlimited, and nothing is kept back then', async () => {
    make(Infinity);
    for (let i = 0; i < 6; i++) await take('extra');
    expect(lanes.lanes.size).toBe(6);
  });

  it.each([
    [24_000, 2000],
    [4000, 1000],
  ])('with a read timeout of %d ms are closed when nobody needs them for %d ms', async (readTimeout, keep) => {
    make(4, readTimeout);
    const [a, b] = [await take(), await take()];
    let why: Error | undefined;
    a.onLost((_, error) => (why = error));
    free(a);
    context.clock.advance(keep / 2);
    free(b);
    context.clock.advance(keep / 2 - 1);
    expect(lanes.freeCount).toBe(2);
    context.clock.advance(1);
    expect([a.isEnded, b.isEnded, lanes.freeCount]).toEqual([true, false, 1]);
    expect(why).toMatchObject({ code: 'UNAVAILABLE', server: a.server });
    context.clock.advance(keep / 2 - 1);
    expect(b.isEnded).toBe(false);
    context.clock.advance(1);
    expect([b.isEnded, lanes.lanes.size]).toEqual([true, 0]);
  });

  it('that are used again do not count as stale', async () => {
    const a = await take();
    free(a);
    await take();
    context.clock.advance(5000);
    expect(a.isEnded).toBe(false);
    free(a);
    context.clock.advance(1999);
    expect(a.isEnded).toBe(false);
    context.clock.advance(1);
    expect(a.isEnded).toBe(true);
  });

  it('that are lost while they are free are not given to anybody', async () => {
    const [a, b, c] = [await take(), await take(), await take()];
    for (const lane of [a, b, c]) free(lane);
    server.peers[1]!.reset();
    await until(() => b.isEnded);
    expect(lanes.freeCount).toBe(2);
    expect([(await take()).id, (await take()).id]).toEqual([c.id, a.id]);
  });
});

describe('a wait lane on its way', () => {
  it('that is given up is closed, and nobody is told', async () => {
    let told = 0;
    const cancel = lanes.take('head', () => told++);
    expect(lanes.lanes.size).toBe(1);
    const [lane] = lanes.lanes;
    let why: Error | undefined;
    lane!.onLost((_, error) => (why = error));
    cancel!();
    cancel!();
    expect([told, lanes.lanes.size]).toEqual([0, 0]);
    expect(why).toMatchObject({ message: 'given up', server: server.endpoint.label });
  });

  it('is not taken back once somebody has it', async () => {
    let got: Lane | undefined;
    const cancel = lanes.take('head', (lane) => (got = lane as Lane));
    await until(() => got);
    cancel!();
    expect(got!.isEnded).toBe(false);
  });

  it('that cannot be had is told to who wants it, once', async () => {
    await server.close();
    const errors: (LockError | Lane)[] = [];
    lanes.take('head', (error) => errors.push(error));
    await until(() => errors.length > 0);
    expect(errors).toEqual([expect.any(LockError)]);
    expect([lanes.lanes.size, spares]).toEqual([0, 1]);
  });
});

describe('wait lanes that the server closes as soon as they are made', () => {
  const wait = (lane: Lane): void => {
    lane.send({ t: 'acquire', kind: 'lock', key: 'k', limit: 1, waitMs: 1000, leaseMs: 0 }, nothing);
  };
  /** A lane that asks for a place, and is closed. */
  async function refused(): Promise<Lane> {
    const count = server.peers.length;
    const lane = await take();
    wait(lane);
    (await until(() => server.peers[count], 'the connection')).socket.end();
    await until(() => lane.isEnded, 'the end');
    return lane;
  }

  beforeEach(() => {
    server.script = () => undefined;
  });

  it('are a shortage from the second on; then there are none, but one now and then', async () => {
    expect(lanes.wasRefused(await refused())).toBe(true);
    expect(degraded).toEqual([]);
    await refused();
    expect(degraded).toEqual([expect.stringMatching(/--max-connections/)]);
    expect(lanes.take('head', nothing)).toBeUndefined();
    context.clock.advance(100);
    await refused();
    context.clock.advance(199);
    expect(lanes.take('head', nothing)).toBeUndefined();
    context.clock.advance(1);
    const lane = await take();
    expect(lanes.take('ticket', nothing)).toBeUndefined();
    context.clock.advance(1000);
    expect(shortage.detail).toBeUndefined();
    lane.end(new LockError('enough'));
  });

  it('are so as well where they cannot be made at all', async () => {
    await server.close();
    for (let i = 0; i < 2; i++) expect(await outcome()).toBeInstanceOf(LockError);
    expect(shortage.detail).toMatch(/ECONNREFUSED/);
    server = await FakeServer.start(obliging, server.port);
  });

  it.each<[string, (lane: Lane) => unknown]>([
    ['given up', (lane) => lane.end(new LockError('given up'))],
    [
      'answered before they ended',
      async (lane) => {
        server.peers.at(-1)!.say('timeout\n');
        await until(() => lane.lastAckedSend > 0);
        server.peers.at(-1)!.reset();
      },
    ],
    [
      'closed after a while',
      (lane) => {
        context.clock.advance(1001);
        server.peers.at(-1)!.reset();
        return lane;
      },
    ],
  ])('are none where they were %s', async (_, end) => {
    for (let i = 0; i < 3; i++) {
      const lane = await take();
      wait(lane);
      await until(() => server.peers.at(-1)?.requests.length && !server.peers.at(-1)!.ended);
      await end(lane);
      await until(() => lane.isEnded);
      expect(lanes.wasRefused(lane)).toBe(false);
      await until(() => server.peers.every(({ ended }) => ended));
    }
    expect([shortage.detail, degraded]).toEqual([undefined, []]);
  });
});

describe('the end of wait lanes', () => {
  it('in good order waits for answers; free ones go, and none is made any more', async () => {
    server.script = () => undefined;
    const [busy, idle] = [await take(), await take()];
    busy.send({ t: 'acquire', kind: 'lock', key: 'k', limit: 1, waitMs: 1000, leaseMs: 0 }, nothing);
    free(idle);
    await until(() => server.peers[0]!.requests.length > 0);
    const error = new ShuttingDownError();
    const offers = spares;
    lanes.retire(error);
    expect([busy.state, idle.state]).toEqual(['closing', 'closed']);
    expect(() => lanes.take('head', nothing)).toThrow(error);
    server.peers[0]!.say('timeout\n');
    await until(() => busy.isEnded);
    expect([spares, lanes.lanes.size, context.alarms.size]).toEqual([offers, 0, 0]);
  });

  it('at once tells who waits for one', async () => {
    const error = new ShuttingDownError();
    const waiting = outcome();
    lanes.destroy(error);
    expect(await waiting).toBe(error);
    expect(() => lanes.take('head', nothing)).toThrow(error);
    lanes.retire(new LockError('later'));
    expect(() => lanes.take('head', nothing)).toThrow(error);
  });

  it('stops looking for stale ones', async () => {
    free(await take());
    lanes.destroy(new ShuttingDownError());
    expect(context.alarms.size).toBe(0);
  });

  it('of their server closes the free ones and leaves the others their grants', async () => {
    const [held, idle] = [await take(), await take()];
    held.adopt();
    free(idle);
    lanes.drain();
    expect([held.state, idle.state, lanes.freeCount]).toEqual(['draining', 'closed', 0]);
  });
});
