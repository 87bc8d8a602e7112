import { afterEach, expect, it } from '@jest/globals';
import { Cluster } from 'ioredis';
import { redisBackend } from '../../../lib/entries/redis.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { RedisCluster } from '../../support/redis/cluster.js';
import { ALL_OF_REDIS, describeRedis } from '../../support/redis/describe-redis.js';
import { RedisSentinel } from '../../support/redis/sentinel.js';
import { inTime, until } from '../../support/until.js';
import { RedisWorld, toldAt } from './support/world.js';

const LEASE_S = 20;
const PATIENCE_MS = 20_000;
const long = ALL_OF_REDIS ? it : it.skip;

let world: RedisWorld;

afterEach(() => world?.close());

/** Without a server of its own. */
function open(): RedisWorld {
  world = new RedisWorld();
  return world;
}

async function pairOf(options = {}): Promise<RedisSentinel> {
  const pair = await RedisSentinel.start(options);
  world.later(() => pair.stop());
  return pair;
}

describeRedis('a failover by Sentinel', () => {
  it('costs no lock that the replica has, and no place in the queue', async () => {
    open();
    const pair = await pairOf();
    const place = { sentinels: pair.addresses };
    const [holder, one, two] = [
      await world.client({}, place),
      await world.client({}, place),
      await world.client({}, place),
    ];
    const lock = await holder.acquire('key', { leaseTtlS: LEASE_S });
    const order: string[] = [];
    const master = await pair.master();
    const waiting: Promise<bigint>[] = [];
    for (const [i, client] of [one, two].entries()) {
      const granted = client.withLock('key', { leaseTtlS: LEASE_S, acquireTimeoutS: 25 }, async ({ fence }) => {
        order.push(`${i}`);
        return fence!;
      });
      waiting.push(granted);
      const queue = (): Promise<unknown> => master.command('ZCARD', '{lock:key}:q');
      await until(async () => (await queue()) === i + 1, `place ${i + 1}`);
    }
    await master.command('WAIT', 1, 1000);
    await master.kill();
    const next = await pair.failedOver(master);
    expect(await next.command('ZCARD', '{lock:key}:q')).toBe(2);
    // Who has not come back yet cannot be given the lock.
    const channels = async (): Promise<unknown[]> => (await next.command('PUBSUB', 'CHANNELS', 'dfl:*')) as unknown[];
    await until(async () => (await channels()).length === 3, 'everybody to come back', PATIENCE_MS);
    expect(lock.isHeld).toBe(true);
    expect(await inTime(lock.release(), 'the release', PATIENCE_MS)).toBe(true);
    const fences = await inTime(Promise.all(waiting), 'the waiters', PATIENCE_MS);
    expect(order).toEqual(['0', '1']);
    expect(fences[0]).toBeGreaterThan(lock.fence!);
    expect(fences[1]).toBeGreaterThan(fences[0]!);
  }, 60_000);

  long(
    'that loses the write tells the holder at the reconnect; the fence of the next one is higher',
    async () => {
      open();
      const pair = await pairOf();
      const place = { sentinels: pair.addresses };
      const options = { reconnect: { maxDelayMs: 200 } };
      const [holder, other] = [await world.client(options, place), await world.client(options, place)];
      const [master, replica] = [await pair.master(), await pair.replica()];
      replica.pause();
      await master.command('CLIENT', 'KILL', 'TYPE', 'replica');
      const lock = await holder.acquire('key', { leaseTtlS: LEASE_S });
      const told = toldAt(lock);
      await master.kill();
      replica.resume();
      await pair.failedOver(master);
      const rival = await other.acquire('key', { acquireTimeoutS: 20 });
      const at = performance.now();
      expect(rival.fence!).toBeGreaterThan(lock.fence!);
      // Long before a renewal is due, a third of the lease.
      expect((await inTime(told, 'the news', PATIENCE_MS)) - at).toBeLessThan(3000);
      expect(lock.isHeld).toBe(false);
      await rival.release();
    },
    60_000,
  );
});

describeRedis('a failover of a node of a cluster', () => {
  long(
    'costs no lock that its replica has; who waits gets its turn',
    async () => {
      open();
      const cluster = await RedisCluster.start({ replicas: 1 });
      world.later(() => cluster.stop());
      const client = async (): Promise<LockClient<any>> => {
        const redis = new Cluster([...cluster.addresses], { lazyConnect: true });
        redis.on('error', () => undefined);
        const locks = new LockClient({ backend: redisBackend(redis), shutdownTimeoutS: 0.2, renewRatio: 1 / 3 });
        await locks.start();
        world.later(async () => {
          await locks.close();
          redis.disconnect();
        });
        return locks;
      };
      const [holder, waiter, elsewhere] = [await client(), await client(), await client()];
      const lock = await holder.acquire('key', { leaseTtlS: LEASE_S });
      const next = waiter.acquire('key', { leaseTtlS: LEASE_S, acquireTimeoutS: 30 });
      const master = await cluster.masterOf('lock:key');
      await until(async () => (await master.command('ZCARD', '{lock:key}:q')) === 1, 'the place');
      await master.command('WAIT', 1, 1000);
      await master.kill();
      await cluster.failedOver('lock:key', master);
      expect(lock.isHeld).toBe(true);
      expect(await inTime(lock.release(), 'the release', PATIENCE_MS)).toBe(true);
      const second = await inTime(next, 'the waiter', PATIENCE_MS);
      expect(second.fence!).toBeGreaterThan(lock.fence!);
      expect(await elsewhere.tryAcquire('key')).toBeNull();
      expect(await second.release()).toBe(true);
    },
    90_000,
  );
});
