import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { slotOf } from '../../../../lib/backends/redis/scripts/companion-keys.js';
import { RedisCluster } from '../../../support/redis/cluster.js';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { inTime, until } from '../../../support/until.js';
import { APPEND, APPEND_TOO, closeAll, driverOf, ECHO, Listener, scriptOf, TRIED } from './support.js';

const PUBLISH = scriptOf(`return redis.call('SPUBLISH', ARGV[1], ARGV[2])`);

describeRedis('drivers: a cluster', () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await RedisCluster.start({ password: 'hunter2' });
  });
  afterEach(closeAll);
  afterAll(() => cluster.stop());

  const connections = async (): Promise<number> => {
    const lists = await Promise.all(cluster.nodes.map((node) => node.command('CLIENT', 'LIST')));
    return lists.join('').split('name=nestjs-dflockd').length - 1;
  };

  it('slots are those of the server', async () => {
    for (const key of ['a', 'lock:ä', '{t}x', '{}x', 'a}b', 'x{a}{b}', '{a', '']) {
      expect([key, slotOf(key)]).toEqual([key, await cluster.slotOf(key)]);
    }
  });

  for (const library of TRIED) {
    it(`${library.name}: scripts, sharded messages, three connections and one for each node with channels`, async () => {
      const driver = driverOf(library.cluster(cluster.addresses, { password: 'hunter2' }));
      const listener = new Listener();
      await driver.open(listener);
      expect(driver.isSharded).toBe(true);
      for (const key of ['a', 'b', 'c', 'd', 'e']) {
        expect(await driver.eval(ECHO, [key], ['x'])).toEqual([key, 'x', 7]);
      }
      await until(async () => (await connections()) === 3);
      await driver.subscribe('dfl:{a}x');
      expect(await driver.eval(PUBLISH, ['{a}'], ['dfl:{a}x', 'hello'])).toBe(1);
      await until(() => listener.count('dfl:{a}x: hello') === 1);
      expect(await connections()).toBe(4);
      driver.unsubscribe('dfl:{a}x');
      await until(async () => (await driver.eval(PUBLISH, ['{a}'], ['dfl:{a}x', 'hello'])) === 0);
      await driver.close();
      await until(async () => (await connections()) === 0);
    });

    it(`${library.name}: a slot that moves takes its keys and channels along`, async () => {
      const driver = driverOf(library.cluster(cluster.addresses, { password: 'hunter2' }));
      const listener = new Listener();
      await driver.open(listener);
      await driver.subscribe('dfl:{moving}x');
      const slot = slotOf('moving');
      const from = await cluster.masterOf('moving');
      const to = cluster.masters.find((node) => node !== from)!;
      const [source, target] = [await from.command('CLUSTER', 'MYID'), await to.command('CLUSTER', 'MYID')] as string[];
      await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source!);
      await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target!);
      // ASK: the key is not there any more.
      expect(await driver.eval(ECHO, ['{moving}key'], ['x'])).toEqual(['{moving}key', 'x', 7]);
      for (const node of cluster.masters) await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', target!);
      expect(await driver.eval(ECHO, ['{moving}key'], ['x'])).toEqual(['{moving}key', 'x', 7]);
      await until(async () => (await driver.eval(PUBLISH, ['{moving}'], ['dfl:{moving}x', 'there'])) === 1);
      await until(() => listener.count('dfl:{moving}x: there') === 1);
    });

    it(`${library.name}: a script that a node does not know yet is not overtaken by what is asked after it`, async () => {
      const driver = driverOf(library.cluster(cluster.addresses, { password: 'hunter2' }));
      await driver.open(new Listener());
      const node = await cluster.masterOf('order');
      await node.command('SCRIPT', 'FLUSH');
      await node.command('SCRIPT', 'LOAD', APPEND_TOO.source);
      await Promise.all([driver.eval(APPEND, ['order'], ['1']), driver.eval(APPEND_TOO, ['order'], ['2'])]);
      await node.command('SCRIPT', 'FLUSH');
      await driver.eval(APPEND, ['order'], ['3']);
      expect(await node.command('GET', 'order')).toBe('123');
      await node.command('DEL', 'order');
    });

    it(`${library.name}: one silent node is dropped alone`, async () => {
      const driver = driverOf(library.cluster(cluster.addresses, { password: 'hunter2' }), { requestTimeoutMs: 150 });
      const listener = new Listener();
      await driver.open(listener);
      const node = await cluster.masterOf('a');
      const elsewhere = ['b', 'c', 'd', 'e'].find(
        (key) => slotOf(key) > slotOf('a') + 5500 || slotOf(key) < slotOf('a') - 5500,
      )!;
      node.pause();
      try {
        await expect(inTime(driver.eval(ECHO, ['a'], ['x']), 'the timeout', 3_000)).rejects.toThrow(/no answer/);
        expect(await driver.eval(ECHO, [elsewhere], ['x'])).toEqual([elsewhere, 'x', 7]);
      } finally {
        node.resume();
      }
      await until(() => listener.count('up') === 2);
      await until(async () => (await driver.eval(ECHO, ['a'], ['x']).catch(() => undefined)) !== undefined);
    });
  }
});
