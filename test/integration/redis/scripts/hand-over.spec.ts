import { expect, it } from '@jest/globals';
import { saltOf } from '../../../../lib/backends/redis/scripts/token.js';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { A, about, B, LEASE_MS, LIVE_MS, salt, scriptServer, TOKEN, U, waiter } from './support.js';

const K = 'lock:a';
const FENCE_KEY = 'dflockd:fence';
const GONE = 'xddddddddd';

// A release by itself has a short cut for the usual hand-over. It must not differ from the way of all others.
describeRedis('a release that hands the lock over', () => {
  const { scripts, command, listen } = scriptServer();
  const { queue } = scripts.keys(K);
  const value = async (): Promise<string> => (await command('GET', K)) as string;
  const members = (): Promise<unknown> => command('ZRANGE', queue, 0, -1);

  const ways = {
    alone: (client: string, token: string) => scripts.lock(client, K, 'r', token, 0),
    'in a batch': async (client: string, token: string) =>
      (
        await scripts.locks(client, [
          [K, 'r', token, 0],
          ['lock:other', 'r', 'x', 0],
        ])
      )[0],
  };

  for (const [way, release] of Object.entries(ways)) {
    it(`${way} gives it to the first waiter, and tells its client`, async () => {
      const listener = await listen(B);
      const token = await scripts.take(A, K);
      const first = await scripts.queue(B, K, 7000);
      const second = await scripts.queue(A, K);
      await expect(release(A, token)).resolves.toBe(1);
      const next = await value();
      expect(saltOf(next)).toBe(first);
      expect(next > token).toBe(true);
      await expect(command('GET', FENCE_KEY)).resolves.toBe(next.slice(0, 16));
      await expect(command('PTTL', K)).resolves.toEqual(about(7000));
      await expect(listener.next()).resolves.toEqual([
        { type: 'granted', kind: 'lock', token: next, key: K, confirm: false },
      ]);
      await expect(members()).resolves.toEqual([waiter(A, second)]);
    });

    it(`${way} answers with the token of a waiter of the same client, and publishes nothing`, async () => {
      const listener = await listen(A);
      const token = await scripts.take(A, K);
      const first = await scripts.queue(A, K, 7000);
      await scripts.die(A, scripts.keys(K));
      const next = await release(A, token);
      expect(next).toMatch(TOKEN);
      expect(saltOf(next as string)).toBe(first);
      await expect(value()).resolves.toBe(next);
      await expect(command('PTTL', K)).resolves.toEqual(about(7000));
      await expect(members()).resolves.toEqual([]);
      await expect(listener.all()).resolves.toEqual([]);
    });

    it(`${way} passes over a waiter whose client has not reported for too long`, async () => {
      const [listener, dead] = [await listen(B), await listen(GONE)];
      const token = await scripts.take(A, K);
      await scripts.queue(GONE, K);
      await scripts.die(GONE, scripts.keys(K));
      const second = await scripts.queue(B, K);
      await expect(release(A, token)).resolves.toBe(1);
      expect(saltOf(await value())).toBe(second);
      await expect(listener.next()).resolves.toHaveLength(1);
      await expect(dead.all()).resolves.toEqual([]);
      await expect(members()).resolves.toEqual([]);
    });

    it(`${way} passes over a waiter that nobody can reach, which keeps its place before all others`, async () => {
      const listener = await listen(B);
      const token = await scripts.take(A, K);
      const first = await scripts.queue(GONE, K);
      const second = await scripts.queue(B, K, 7000);
      const third = await scripts.queue(B, K);
      await expect(release(A, token)).resolves.toBe(1);
      expect(saltOf(await value())).toBe(second);
      await expect(command('PTTL', K)).resolves.toEqual(about(7000));
      await expect(listener.next()).resolves.toHaveLength(1);
      await expect(members()).resolves.toEqual([waiter(GONE, first), waiter(B, third)]);
    });

    it(`${way} frees it where the only waiter cannot be reached, whose place ends with its client`, async () => {
      const token = await scripts.take(A, K);
      const only = await scripts.queue(GONE, K);
      await expect(release(A, token)).resolves.toBe(1);
      await expect(value()).resolves.toBeNull();
      await expect(members()).resolves.toEqual([waiter(GONE, only)]);
      await expect(command('PTTL', queue)).resolves.toEqual(about(2 * LIVE_MS));
    });

    it(`${way} has a waiter confirm whose receivers cannot be counted`, async () => {
      const listener = await listen(U);
      const token = await scripts.take(A, K);
      await scripts.queue(U, K, 60_000);
      await expect(release(A, token)).resolves.toBe(1);
      await expect(command('PTTL', K)).resolves.toEqual(about(LIVE_MS));
      await expect(listener.next()).resolves.toMatchObject([{ confirm: true }]);
    });

    it(`${way} counts on from a fence that is ahead of the clock`, async () => {
      await listen(B);
      const token = await scripts.take(A, K);
      await scripts.queue(B, K);
      await command('SET', FENCE_KEY, '8000000000000000');
      await expect(release(A, token)).resolves.toBe(1);
      expect((await value()).slice(0, 16)).toBe('8000000000000001');
      await expect(command('GET', FENCE_KEY)).resolves.toBe('8000000000000001');
    });

    it(`${way} hands nothing over with the token of somebody else`, async () => {
      const listener = await listen(B);
      const token = await scripts.take(A, K);
      await scripts.queue(B, K);
      await expect(release(A, token.slice(0, 16) + salt())).resolves.toBe(0);
      await expect(value()).resolves.toBe(token);
      await expect(listener.all()).resolves.toEqual([]);
    });

    it(`${way} leaves a queue that is none, and keeps the lock`, async () => {
      const token = await scripts.take(A, K);
      await command('SET', queue, 'x');
      await expect(release(A, token)).resolves.toEqual(['E', expect.stringMatching(/^WRONGTYPE /)]);
      await expect(value()).resolves.toBe(token);
    });

    it(`${way} needs no memory`, async () => {
      const listener = await listen(B);
      const token = await scripts.take(A, K);
      const first = await scripts.queue(B, K);
      await command('CONFIG', 'SET', 'maxmemory', 1);
      try {
        await expect(release(A, token)).resolves.toBe(1);
      } finally {
        await command('CONFIG', 'SET', 'maxmemory', 0);
      }
      expect(saltOf(await value())).toBe(first);
      await expect(command('PTTL', K)).resolves.toEqual(about(LEASE_MS));
      await expect(listener.next()).resolves.toHaveLength(1);
    });
  }
});
