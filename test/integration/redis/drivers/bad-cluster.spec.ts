import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { AuthError, LockUnavailableError } from '../../../../lib/common/errors.js';
import { RedisCluster } from '../../../support/redis/cluster.js';
import { ALL_OF_REDIS, describeRedis } from '../../../support/redis/describe-redis.js';
import { inTime, until } from '../../../support/until.js';
import { closeAll, driverOf, ECHO, Listener, scriptOf, TRIED } from './support.js';

const PUBLISH = scriptOf(`return redis.call('SPUBLISH', ARGV[1], ARGV[2])`);

(ALL_OF_REDIS ? describeRedis : describe.skip)('drivers: a cluster in trouble', () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await RedisCluster.start({ password: 'hunter2', replicas: 1, nodeTimeoutMs: 700 });
  }, 60_000);
  afterEach(closeAll);
  afterAll(() => cluster.stop());

  it('a wrong password fails the start', async () => {
    for (const library of TRIED) {
      const error = await inTime(
        driverOf(library.cluster(cluster.addresses, { password: 'wrong-1' })).open(new Listener()),
        library.name,
      ).catch((reason: unknown) => reason);
      expect([library.name, error]).toEqual([library.name, expect.any(AuthError)]);
      expect((error as Error).message).not.toContain('wrong-1');
    }
  });

  it('without any node, the start fails, and goes on', async () => {
    for (const library of TRIED) {
      const driver = driverOf(library.cluster([{ host: '127.0.0.1', port: 1 }]));
      const listener = new Listener();
      const error = await inTime(driver.open(listener), library.name).catch((reason: unknown) => reason);
      expect([library.name, error]).toEqual([library.name, expect.any(LockUnavailableError)]);
      await inTime(driver.close(), `${library.name} to close`);
    }
  });

  it('all libraries follow a failover, with their channels', async () => {
    const drivers = TRIED.map((library) => driverOf(library.cluster(cluster.addresses, { password: 'hunter2' })));
    const listeners = drivers.map(() => new Listener());
    await Promise.all(drivers.map((driver, i) => driver.open(listeners[i]!)));
    await Promise.all(drivers.map((driver) => driver.subscribe('dfl:{a}x')));
    const old = await cluster.masterOf('a');
    await old.kill();
    const elsewhere = await until(async () => {
      for (const key of ['b', 'c', 'd', 'e', 'f']) if ((await cluster.masterOf(key)) !== old) return key;
      return undefined;
    });
    for (const driver of drivers) expect(await driver.eval(ECHO, [elsewhere], ['x'])).toEqual([elsewhere, 'x', 7]);
    await cluster.failedOver('a', old);
    for (const [i, driver] of drivers.entries()) {
      await until(
        async () => (await driver.eval(ECHO, ['a'], ['x']).catch(() => undefined)) !== undefined,
        TRIED[i]!.name,
      );
    }
    await until(
      () => listeners.every((listener) => listener.count('subscribed dfl:{a}x') === 2),
      'the channels',
      20_000,
    );
    expect(await drivers[0]!.eval(PUBLISH, ['{a}'], ['dfl:{a}x', 'all'])).toBe(drivers.length);
    await until(() => listeners.every((listener) => listener.count('dfl:{a}x: all') === 1));
    await until(() => listeners.every((listener) => listener.count('up') === 2), 'all to be up', 20_000);
  }, 60_000);

  it('addresses are mapped as the client maps them', async () => {
    const hidden = await RedisCluster.start({
      config: ['cluster-announce-hostname locks.invalid', 'cluster-preferred-endpoint-type hostname'],
    });
    try {
      const map = (address: string): { host: string; port: number } => ({
        host: '127.0.0.1',
        port: Number(/^locks\.invalid:(\d+)$/.exec(address)?.[1]),
      });
      for (const library of TRIED) {
        const driver = driverOf(library.cluster(hidden.addresses, { map }));
        await inTime(driver.open(new Listener()), library.name);
        for (const key of ['a', 'b', 'c', 'd']) expect(await driver.eval(ECHO, [key], ['x'])).toEqual([key, 'x', 7]);
        await driver.close();
      }
    } finally {
      await hidden.stop();
    }
  }, 60_000);

  it('the start waits for no node that is dead and has no slots', async () => {
    for (const library of TRIED) {
      const driver = driverOf(library.cluster(cluster.addresses, { password: 'hunter2' }));
      await inTime(driver.open(new Listener()), library.name);
      expect(await driver.eval(ECHO, ['a'], ['x'])).toEqual(['a', 'x', 7]);
      await inTime(driver.close(), `${library.name} to close`);
    }
  });
});
