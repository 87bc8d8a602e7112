import { afterEach, describe, expect, it } from '@jest/globals';
import { Cluster, Redis } from 'ioredis';
import { createCluster, createSentinel } from 'redis';
import type { AcquireRequest, Grant, LockBackend } from '../../../lib/backends/backend.js';
import { LockLostError } from '../../../lib/common/errors.js';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { redisBackend, type RedisBackendOptions, type RedisClient } from '../../../lib/entries/redis.js';
import { enqueue, release, type Waiting } from '../../support/lock-backend.js';
import { RedisCluster } from '../../support/redis/cluster.js';
import { ALL_OF_REDIS, describeRedis } from '../../support/redis/describe-redis.js';
import { RedisSentinel } from '../../support/redis/sentinel.js';
import type { RedisServer } from '../../support/redis/server.js';
import { inTime, until } from '../../support/until.js';

const { now } = systemClock;
const host = { clock: systemClock, entropy: systemEntropy, log: () => undefined };
const LONG_MS = 40_000;

const unlessLost = (error: unknown): undefined => {
  if (error instanceof LockLostError) throw error;
};

const request = (change: Partial<AcquireRequest> = {}): AcquireRequest => ({
  key: 'a',
  kind: 'lock',
  limit: 1,
  leaseMs: 60_000,
  deadline: now() + 120_000,
  ...change,
});

(ALL_OF_REDIS ? describeRedis : describe.skip)('the Redis backend in a failover', () => {
  let made: LockBackend[] = [];
  let stop: () => Promise<void> = async () => undefined;
  afterEach(async () => {
    await Promise.all(made.map((backend) => backend.close(1000)));
    made = [];
    await stop();
  });

  const connect = async (client: RedisClient, options: RedisBackendOptions = {}): Promise<LockBackend> => {
    const backend = redisBackend(client, { requestTimeoutMs: 1000, ...options })(host);
    made.push(backend);
    await backend.start();
    return backend;
  };

  /** What has been written by now is on the replica: WAIT is about what its own connection has written. */
  const replicated = async (master: RedisServer): Promise<void> => {
    await master.command('SET', '{lock:a}:mark', 1);
    expect(await master.command('WAIT', 1, 5000)).toBe(1);
  };

  /** Three waiters, one after the other. */
  const queue = async (backend: LockBackend, key: string): Promise<Waiting[]> => {
    const waits: Waiting[] = [];
    for (let i = 0; i < 3; i++) {
      const waiting = enqueue(backend, request({ key }));
      await inTime(waiting.placed, 'the place');
      waits.push(waiting);
    }
    return waits;
  };

  const serve = async (backend: LockBackend, waits: readonly Waiting[], held: Grant): Promise<void> => {
    let last = held.fence!;
    const order: Waiting[] = [];
    for (const waiting of waits) {
      const note = (): unknown => order.push(waiting);
      waiting.grant.then(note, () => undefined);
    }
    for (const waiting of waits) {
      const given = await inTime(waiting.grant, 'the grant', LONG_MS);
      expect(order.at(-1)).toBe(waiting);
      expect(given.fence!).toBeGreaterThan(last);
      last = given.fence!;
      expect(await release(backend, given)).toBe('released');
    }
  };

  it.each(['ioredis', 'redis'])('loses nothing that the replica has, behind Sentinels, with %s', async (library) => {
    const pair = await RedisSentinel.start();
    stop = () => pair.stop();
    const client = (): RedisClient =>
      library === 'ioredis'
        ? new Redis({ sentinels: pair.addresses, name: pair.name, lazyConnect: true })
        : createSentinel({ name: pair.name, sentinelRootNodes: pair.addresses });
    const [a, b] = [await connect(client()), await connect(client())];
    let suspected = 0;
    a.onSuspect!(() => suspected++);
    const held = (await a.tryAcquire(request()))!;
    const waits = await queue(b, 'a');
    const master = await pair.master();
    await replicated(master);
    await master.kill();
    await pair.failedOver(master);
    await until(() => suspected > 0, 'the word that all should be renewed', LONG_MS);
    await until(async () => a.renew(held, 60_000).catch(unlessLost), 'the renewal', LONG_MS);
    expect(await b.tryAcquire(request()).catch(() => null)).toBeNull();
    expect(await release(a, held)).toBe('released');
    await serve(b, waits, held);
  }, LONG_MS * 2); // prettier-ignore

  it('tells the holder of what the replica had not, and the next one has a higher fence', async () => {
    const pair = await RedisSentinel.start();
    stop = () => pair.stop();
    const client = (): RedisClient => new Redis({ sentinels: pair.addresses, name: pair.name, lazyConnect: true });
    const [a, b] = [await connect(client()), await connect(client(), { pokeMs: 300 })];
    const [master, replica] = [await pair.master(), await pair.replica()];
    // What is written from here on dies with the master: none of it waits in a socket of the replica.
    replica.pause();
    await master.command('CLIENT', 'KILL', 'TYPE', 'REPLICA');
    const held = (await a.tryAcquire(request()))!;
    const waits = await queue(b, 'a');
    await master.kill();
    replica.resume();
    await pair.failedOver(master);
    await serve(b, waits, held);
    const renewal = await until(
      async () => a.renew(held, 60_000).catch((error: unknown) => (error instanceof LockLostError ? error : undefined)),
      'the loss',
      LONG_MS,
    );
    expect(renewal).toBeInstanceOf(LockLostError);
  }, LONG_MS * 2); // prettier-ignore

  it.each(['ioredis', 'redis'])('goes on in a cluster that has lost a master, with %s', async (library) => {
    const cluster = await RedisCluster.start({ replicas: 1 });
    stop = () => cluster.stop();
    const client = (): RedisClient =>
      library === 'ioredis'
        ? new Cluster(cluster.addresses, { lazyConnect: true })
        : createCluster({ rootNodes: cluster.addresses.map((socket) => ({ socket })) });
    const [a, b] = [await connect(client()), await connect(client())];
    const held = (await a.tryAcquire(request()))!;
    const waits = await queue(b, 'a');
    const master = await cluster.masterOf('lock:a');
    await replicated(master);
    await master.kill();
    await cluster.failedOver('lock:a', master);
    await until(async () => a.renew(held, 60_000).catch(unlessLost), 'the renewal', LONG_MS);
    expect(await release(a, held)).toBe('released');
    await serve(b, waits, held);
  }, LONG_MS * 2); // prettier-ignore
});
