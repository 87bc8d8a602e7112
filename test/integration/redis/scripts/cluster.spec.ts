import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { slotOf } from '../../../../lib/backends/redis/scripts/companion-keys.js';
import { channelOf } from '../../../../lib/backends/redis/scripts/messages.js';
import { probeScript } from '../../../../lib/backends/redis/scripts/probe-script.js';
import { saltOf } from '../../../../lib/backends/redis/scripts/token.js';
import { RedisCluster } from '../../../support/redis/cluster.js';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import type { RedisServer } from '../../../support/redis/server.js';
import { A, about, LEASE_MS, Listener, LIVE_MS, salt, Scripts, TOKEN, U, waiter } from './support.js';

const S = 'sddddddddd';

const KEYS = [
  'lock:order:1',
  'lock:{t}a',
  'lock:a}b',
  'lock:{}x',
  'lock:{}{t}',
  'lock:{{a}}b',
  'lock:a{b',
  'lock:ä 漢 😀',
  `lock:${'x'.repeat(1019)}`,
];

describeRedis('the scripts in a cluster', () => {
  let cluster: RedisCluster;
  const open: Listener[] = [];

  const master = (key: string): Promise<RedisServer> => cluster.masterOf(key);
  const scriptsFor = async (key: string): Promise<Scripts> => new Scripts(await master(key), true);
  const listen = async (server: RedisServer, client: string, tag = ''): Promise<Listener> => {
    const listener = await Listener.on(server, client, tag);
    open.push(listener);
    return listener;
  };

  beforeAll(async () => {
    cluster = await RedisCluster.start();
  });

  beforeEach(async () => {
    await Promise.all(open.splice(0).map((listener) => listener.close()));
    await Promise.all(cluster.masters.map((node) => node.command('FLUSHALL')));
  });

  afterAll(async () => {
    await Promise.all(open.map((listener) => listener.close()));
    await cluster.stop();
  });

  it('the keys of a lock or semaphore are in the slot that the server says', async () => {
    for (const key of KEYS) {
      const { tag, ...names } = new Scripts(cluster.masters[0]!, true).semaphoreKeys(key);
      const slot = await cluster.slotOf(key);
      expect([key, slotOf(key)]).toEqual([key, slot]);
      for (const name of [...Object.values(names), tag, channelOf(S, tag)]) {
        expect([name, await cluster.slotOf(name)]).toEqual([name, slot]);
      }
    }
  });

  for (const key of KEYS) {
    it(`${key.slice(0, 20)} is taken, waited for, handed over by a sharded message and released`, async () => {
      const scripts = await scriptsFor(key);
      const listener = await listen(await master(key), S, scripts.keys(key).tag);
      const token = await scripts.take(A, key);
      const first = await scripts.queue(S, key);
      await expect(scripts.lock(A, key, 'r', token, 0)).resolves.toBe(1);
      const next = (await scripts.server.command('GET', key)) as string;
      expect(saltOf(next)).toBe(first);
      await expect(scripts.server.command('PTTL', key)).resolves.toEqual(about(LEASE_MS));
      await expect(listener.next()).resolves.toEqual([
        { type: 'granted', kind: 'lock', token: next, key, confirm: false },
      ]);
      await expect(scripts.lock(S, key, 'r', next, 0)).resolves.toBe(1);
    });
  }

  it('a semaphore hands over by a sharded message', async () => {
    const key = 'sem:a';
    const scripts = await scriptsFor(key);
    const listener = await listen(await master(key), S, scripts.keys(key).tag);
    const token = await scripts.takeSlot(A, key, 1);
    await scripts.queueForSlot(S, key, 1);
    await expect(scripts.semaphore(A, key, 1, 'r', token, 0)).resolves.toBe(1);
    await expect(listener.next()).resolves.toMatchObject([{ type: 'granted', kind: 'sem', key, confirm: false }]);
  });

  it('a client that listens to the shard of another slot cannot be reached, and is passed over', async () => {
    const scripts = await scriptsFor('lock:a');
    await listen(await master('lock:b'), S, scripts.keys('lock:b').tag);
    const token = await scripts.take(A, 'lock:a');
    await scripts.queue(S, 'lock:a');
    const second = await scripts.queue(U, 'lock:a');
    await scripts.lock(A, 'lock:a', 'r', token, 0);
    expect(saltOf((await scripts.server.command('GET', 'lock:a')) as string)).toBe(second);
  });

  it('a client whose connection has ended is passed over at once', async () => {
    const scripts = await scriptsFor('lock:a');
    const gone = await listen(await master('lock:a'), S, scripts.keys('lock:a').tag);
    const token = await scripts.take(A, 'lock:a');
    await scripts.queue(S, 'lock:a');
    await open.splice(open.indexOf(gone), 1)[0]!.close();
    await expect(scripts.lock(A, 'lock:a', 'r', token, 0)).resolves.toBe(1);
    await expect(scripts.server.command('EXISTS', 'lock:a')).resolves.toBe(0);
  });

  it('a client without shards is told over any node, and confirms', async () => {
    const scripts = await scriptsFor('lock:a');
    const elsewhere = cluster.masters.find((node) => node !== scripts.server)!;
    const listener = await listen(elsewhere, U);
    const token = await scripts.take(A, 'lock:a');
    await scripts.queue(U, 'lock:a', 60_000);
    await scripts.lock(A, 'lock:a', 'r', token, 0);
    const next = (await scripts.server.command('GET', 'lock:a')) as string;
    await expect(listener.next()).resolves.toEqual([
      { type: 'granted', kind: 'lock', token: next, key: 'lock:a', confirm: true },
    ]);
    await expect(scripts.server.command('PTTL', 'lock:a')).resolves.toEqual(about(LIVE_MS));
  });

  it('r with a time has the first who waits look, over its shard', async () => {
    const scripts = await scriptsFor('lock:a');
    const listener = await listen(await master('lock:a'), S, scripts.keys('lock:a').tag);
    const token = await scripts.take(A, 'lock:a');
    await scripts.queue(S, 'lock:a');
    await scripts.lock(A, 'lock:a', 'r', token, 4000);
    await expect(listener.next()).resolves.toEqual([{ type: 'look', key: 'lock:a' }]);
  });

  it('locks of one slot may be asked for in one call', async () => {
    const scripts = await scriptsFor('lock:{t}');
    const [one, two] = await scripts.locks(A, [
      ['lock:{t}1', 't', salt(), LEASE_MS],
      ['lock:{t}2', 't', salt(), LEASE_MS],
    ]);
    expect((two as string) > (one as string)).toBe(true);
    await expect(scripts.server.command('GET', scripts.keys('lock:{t}1').fence)).resolves.toBe(two);
  });

  it('p and c work on keys with odd braces', async () => {
    for (const key of ['lock:a}b', 'lock:{}x']) {
      const scripts = await scriptsFor(key);
      const token = await scripts.take(A, key);
      const first = await scripts.queue(U, key);
      await expect(scripts.lock(U, key, 'p', waiter(U, first))).resolves.toEqual([0, about(LEASE_MS), token]);
      await expect(scripts.lock(U, key, 'c', waiter(U, first))).resolves.toBe(1);
      expect(token).toMatch(TOKEN);
    }
  });

  it('messages to a shard are counted, wherever else somebody listens; plain ones only on their node', async () => {
    const { fence, tag } = new Scripts(cluster.masters[0]!, true).keys('lock:a');
    const node = await master(fence);
    const elsewhere = cluster.masters.filter((other) => other !== node);
    const probe = (word: string, channel: string): Promise<unknown> =>
      node.command('EVAL', probeScript.source, 1, fence, word, channel, 'x');

    await expect(probe('SPUBLISH', channelOf(S, tag))).resolves.toBe(0);
    await listen(node, S, tag);
    await expect(probe('SPUBLISH', channelOf(S, tag))).resolves.toBe(1);
    await listen(node, S, tag);
    await expect(probe('SPUBLISH', channelOf(S, tag))).resolves.toBe(2);

    for (const other of elsewhere) await listen(other, U);
    await expect(probe('PUBLISH', channelOf(U, ''))).resolves.toBe(0);
    await listen(node, U);
    await expect(probe('PUBLISH', channelOf(U, ''))).resolves.toBe(1);
    await expect(listen(elsewhere[0]!, S, tag)).rejects.toThrow(/MOVED/);
  });
});
