import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import type { AcquireRequest, Grant, LockBackend } from '../../../lib/backends/backend.js';
import { LockLostError } from '../../../lib/common/errors.js';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { redisBackend, type RedisClient } from '../../../lib/entries/redis.js';
import { enqueue, release, type Waiting } from '../../support/lock-backend.js';
import { RedisCluster } from '../../support/redis/cluster.js';
import { ALL_OF_REDIS, describeRedis } from '../../support/redis/describe-redis.js';
import { inTime, until } from '../../support/until.js';

const { now } = systemClock;
const host = { clock: systemClock, entropy: systemEntropy, log: () => undefined };
const LONG_MS = 40_000;

let keys = 0;
const request = (change: Partial<AcquireRequest> = {}): AcquireRequest => ({
  key: `moving-${++keys}`,
  kind: 'lock',
  limit: 1,
  leaseMs: 60_000,
  deadline: now() + 120_000,
  ...change,
});

(ALL_OF_REDIS ? describeRedis : describe.skip)('a slot of a cluster that moves to another node', () => {
  let cluster: RedisCluster;
  let made: LockBackend[] = [];

  beforeAll(async () => {
    cluster = await RedisCluster.start();
  }, LONG_MS);
  afterEach(async () => {
    await Promise.all(made.map((backend) => backend.close(1000)));
    made = [];
  });
  afterAll(() => cluster.stop());

  /** How often a node has answered TRYAGAIN: some of the keys are on another one. */
  const refusals = async (): Promise<number> => {
    const each = await Promise.all(cluster.masters.map((node) => node.info('errorstat_TRYAGAIN')));
    return each.reduce((sum, stat) => sum + Number(stat?.replace('count=', '') ?? 0), 0);
  };

  const connect = async (library: string): Promise<LockBackend> => {
    const client: RedisClient =
      library === 'ioredis'
        ? new Cluster(cluster.addresses, { lazyConnect: true })
        : createCluster({ rootNodes: cluster.addresses.map((socket) => ({ socket })) });
    const backend = redisBackend(client)(host);
    made.push(backend);
    await backend.start();
    return backend;
  };

  /** A holder, and three waiters one after the other. */
  async function contended(a: LockBackend, b: LockBackend): Promise<{ held: Grant; waits: Waiting[] }> {
    const req = request();
    const held = (await a.tryAcquire(req))!;
    const waits: Waiting[] = [];
    for (let i = 0; i < 3; i++) {
      const waiting = enqueue(b, req);
      expect(await inTime(waiting.placed, 'the place')).toBe('queued');
      waits.push(waiting);
    }
    return { held, waits };
  }

  async function serve(b: LockBackend, waits: readonly Waiting[], held: Grant): Promise<void> {
    const order: Waiting[] = [];
    for (const waiting of waits) void waiting.grant.then(() => order.push(waiting));
    let last = held.fence!;
    for (const waiting of waits) {
      const given = await inTime(waiting.grant, 'the grant', LONG_MS);
      expect(order.at(-1)).toBe(waiting);
      expect(given.fence!).toBeGreaterThan(last);
      last = given.fence!;
      expect(await release(b, given)).toBe('released');
    }
  }

  describe.each(['ioredis', 'redis'])('over %s', (library) => {
    it('keeps its locks, and its queues in their order', async () => {
      const [a, b] = [await connect(library), await connect(library)];
      const { held, waits } = await contended(a, b);
      await cluster.migrate(`lock:${held.req.key}`);
      const renewed = (error: unknown): undefined => {
        if (error instanceof LockLostError) throw error;
      };
      const proof = await until(async () => a.renew(held, 60_000).catch(renewed), 'the renewal', LONG_MS);
      expect(proof.leaseMs).toBe(60_000);
      // Nobody else has it: not a new client either.
      const c = await connect(library);
      expect(await until(async () => c.tryAcquire(held.req).then(String, () => undefined))).toBe('null');
      expect(await release(a, held)).toBe('released');
      await serve(b, waits, held);
    }, LONG_MS * 2); // prettier-ignore

    it('gives nobody a lock whose keys are on two nodes; the holder renews it, and its release is carried out', async () => {
      const [a, b] = [await connect(library), await connect(library)];
      const { held, waits } = await contended(a, b);
      const c = await connect(library);
      let released: Promise<unknown> | undefined;
      await cluster.migrate(`lock:${held.req.key}`, async () => {
        expect(await inTime(a.renew(held, 60_000), 'the renewal')).toMatchObject({ leaseMs: 60_000 });
        for (let i = 0; i < 20; i++) {
          const grant = await inTime(c.tryAcquire(held.req).catch(() => null), 'the answer');
          expect(grant).toBeNull();
        }
        const before = await refusals();
        released = release(a, held);
        await until(async () => (await refusals()) > before, 'an answer that keys are on two nodes', LONG_MS);
      });
      expect(await inTime(released!, 'the release', LONG_MS)).toBe('released');
      await serve(b, waits, held);
    }, LONG_MS * 2); // prettier-ignore

    it('serves who asks for a free lock of it meanwhile, when it has moved', async () => {
      const a = await connect(library);
      const req = request();
      const before = (await a.tryAcquire(req))!;
      expect(await release(a, before)).toBe('released');
      let waiting: Waiting | undefined;
      // Only the counter of fences is there to be moved.
      await cluster.migrate(`lock:${req.key}`, async () => {
        const refused = await refusals();
        waiting = enqueue(a, req);
        await until(async () => (await refusals()) > refused, 'an answer that keys are on two nodes', LONG_MS);
      });
      const grant = await inTime(waiting!.grant, 'the grant', LONG_MS);
      expect(grant.fence!).toBeGreaterThan(before.fence!);
      expect(await release(a, grant)).toBe('released');
    }, LONG_MS * 2); // prettier-ignore

    it('tells the holder of a lock that got lost on the way', async () => {
      const [a, b] = [await connect(library), await connect(library)];
      const { held, waits } = await contended(a, b);
      const master = await cluster.masterOf(`lock:${held.req.key}`);
      await master.command('DEL', `lock:${held.req.key}`);
      const taken = await inTime(waits[0]!.grant, 'the grant', LONG_MS);
      await cluster.migrate(`lock:${held.req.key}`);
      const ifLost = (error: unknown): unknown => error instanceof LockLostError && error;
      const loss = await until(
        async () => a.renew(held, 60_000).then(() => undefined, ifLost),
        'the loss',
        LONG_MS,
      );
      expect(loss).toMatchObject({ reason: 'rejected' });
      expect(await release(b, taken)).toBe('released');
      await serve(b, waits.slice(1), taken);
    }, LONG_MS * 2); // prettier-ignore
  });
});
