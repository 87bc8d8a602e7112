import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { AuthError } from '../../../../lib/common/errors.js';
import { ALL_OF_REDIS, describeRedis } from '../../../support/redis/describe-redis.js';
import { RedisServer } from '../../../support/redis/server.js';
import { RedisSentinel } from '../../../support/redis/sentinel.js';
import { inTime, until } from '../../../support/until.js';
import { closeAll, driverOf, ECHO, Listener, TRIED, type Library } from './support.js';

describeRedis('drivers: Sentinel', () => {
  let pair: RedisSentinel;

  beforeAll(async () => {
    pair = await RedisSentinel.start({ password: 'hunter2' });
  });
  afterEach(async () => {
    await closeAll();
    for (const client of users.splice(0)) client.destroy!();
  });
  afterAll(() => pair.stop());

  const own = async (): Promise<string[]> => {
    const running = pair.servers.filter(({ isRunning }) => isRunning);
    const lists = await Promise.all(running.map((server) => server.command('CLIENT', 'LIST')));
    return lists.flatMap((list) => (list as string).split('\n')).filter((line) => line.includes('name=nestjs-dflockd'));
  };
  const libraries = TRIED.filter(({ sentinel }) => sentinel);
  const users: { destroy?(): unknown }[] = [];
  /** That of node-redis 5 cannot be duplicated: it must be connected. */
  const clientOf = async (library: Library): Promise<object> => {
    const client = library.sentinel!(pair, { password: 'hunter2' }) as { connect(): Promise<unknown>; on: any };
    if (library.name === 'redis 5') {
      client.on('error', () => undefined);
      await client.connect();
      users.push(client as object);
    }
    return client;
  };

  for (const library of libraries) {
    it(`${library.name}: the master is found, and has two connections`, async () => {
      const driver = driverOf(await clientOf(library));
      const listener = new Listener();
      await driver.open(listener);
      expect(driver.server).toBe(library.name === 'redis 5' ? 'master@sentinel' : 'locks@sentinel');
      await driver.subscribe('dfl:a');
      expect(await driver.eval(ECHO, ['key'], ['x'])).toEqual(['key', 'x', 7]);
      await driver.command(undefined, ['PUBLISH', 'dfl:a', 'hello']);
      await until(() => listener.count('dfl:a: hello') === 1);
      expect(await own()).toHaveLength(2);
      await driver.close();
      await until(async () => (await own()).length === 0);
    });
  }

  it('a Sentinel that is silent is not asked again and again', async () => {
    const silent = await RedisServer.start();
    silent.pause();
    try {
      for (const library of libraries.filter(({ name }) => name !== 'redis 5')) {
        const addresses = [{ host: silent.host, port: silent.port }, ...pair.addresses];
        const driver = driverOf(
          library.sentinel!(
            { addresses, name: pair.name },
            library.name.startsWith('io')
              ? { password: 'hunter2', connectTimeout: 1_000 }
              : { password: 'hunter2', socket: { connectTimeout: 1_000 } },
          ),
          { minDelayMs: 5 },
        );
        const listener = new Listener();
        await driver.open(listener).catch(() => undefined);
        await until(() => listener.count('up') === 1, library.name, 15_000);
        await driver.close();
      }
    } finally {
      silent.resume();
      await silent.stop();
    }
  });

  it('a password that the master refuses fails the start', async () => {
    for (const library of libraries.filter(({ name }) => name !== 'redis 5')) {
      const driver = driverOf(library.sentinel!(pair, { password: 'wrong-1' }));
      const error = await inTime(driver.open(new Listener()), library.name).catch((reason: unknown) => reason);
      expect([library.name, error]).toEqual([library.name, expect.any(AuthError)]);
    }
  });

  (ALL_OF_REDIS ? it : it.skip)('all libraries follow a failover', async () => {
    const clients = await Promise.all(libraries.map(clientOf));
    const drivers = clients.map((client) => driverOf(client));
    const listeners = drivers.map(() => new Listener());
    await Promise.all(drivers.map((driver, i) => driver.open(listeners[i]!)));
    await Promise.all(drivers.map((driver) => driver.subscribe('dfl:a')));
    const old = await pair.master();
    await old.kill();
    await pair.failedOver(old);
    await until(() => listeners.every((listener) => listener.count('up') === 2), 'all to be up', 20_000);
    for (const [i, driver] of drivers.entries()) {
      await driver.eval(ECHO, ['key'], ['x']);
      await driver.command('key', ['SET', 'key', libraries[i]!.name]);
      await driver.command(undefined, ['PUBLISH', 'dfl:a', libraries[i]!.name]);
    }
    await until(() => listeners.every(({ events }) => events.includes('dfl:a: redis 6')));
    expect(listeners.map((listener) => listener.count('down'))).toEqual(listeners.map(() => 1));
  });
});
