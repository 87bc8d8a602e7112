import { expect, it } from '@jest/globals';
import { saltOf } from '../../../../lib/backends/redis/scripts/token.js';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { until } from '../../../support/until.js';
import {
  A,
  about,
  B,
  FENCE,
  LEASE_MS,
  LIVE_MS,
  salt,
  scriptServer,
  type Scripts,
  TOKEN,
  U,
  waiter,
  WRONGTYPE,
} from './support.js';

const Z = 'sem:a';

describeRedis('the script of semaphores', () => {
  const { scripts, command, listen } = scriptServer();
  const keys = scripts.semaphoreKeys(Z);
  const holders = async (): Promise<string[]> => (await command('ZRANGE', Z, 0, -1)) as string[];
  /** The holder's lease ends now. */
  const expire = (token: string): Promise<unknown> => command('ZADD', Z, 1, token);

  // The short cut of a call with one op, and the way of all others, must not differ.
  const ways: readonly (readonly [string, Scripts['semaphore']])[] = [
    ['alone', (...args) => scripts.semaphore(...args)],
    [
      'in a batch',
      async (client, key, limit, ...op) =>
        (
          await scripts.semaphores(client, [
            [key, limit, ...op],
            ['sem:other', 1, 'r', 'x', 0],
          ])
        )[0]!,
    ],
  ];

  for (const [way, semaphore] of ways) {
    it(`r ${way} frees its place, and no other`, async () => {
      const token = await scripts.takeSlot(A, Z, 2);
      const other = await scripts.takeSlot(B, Z, 2);
      await expect(semaphore(A, Z, 2, 'r', token, 0)).resolves.toBe(1);
      await expect(semaphore(A, Z, 2, 'r', token, 0)).resolves.toBe(0);
      await expect(holders()).resolves.toEqual([other]);
    });

    it(`r ${way} of an expired holder says so`, async () => {
      const token = await scripts.takeSlot(A, Z, 1);
      await expire(token);
      await expect(semaphore(A, Z, 1, 'r', token, 0)).resolves.toBe(0);
      await expect(holders()).resolves.toEqual([]);
    });

    it(`r ${way} refuses a key that holds something else`, async () => {
      await command('SET', Z, 'x');
      await expect(semaphore(A, Z, 1, 'r', 'x', 0)).resolves.toEqual(WRONGTYPE);
    });

    for (const op of ['t', 'q']) {
      it(`${op} ${way} takes a place: holder, leases, limit and fence are in Redis`, async () => {
        const own = salt();
        const digits = await semaphore(A, Z, 2, op, own, LEASE_MS);
        expect(digits).toMatch(FENCE);
        await expect(command('ZRANGE', Z, 0, -1)).resolves.toEqual([`${digits as string}${own}`]);
        const till = Number(await command('ZSCORE', Z, `${digits as string}${own}`));
        expect(till).toBe(Math.floor(Number(digits) / 1000) + LEASE_MS);
        await expect(command('GET', keys.limit)).resolves.toBe('2');
        for (const key of [Z, keys.limit]) await expect(command('PTTL', key)).resolves.toEqual(about(LEASE_MS));
        await expect(command('GET', 'dflockd:fence')).resolves.toBe(digits);
        await expect(command('KEYS', '*')).resolves.toHaveLength(3);
      });

      it(`${op} ${way} takes no place with a lease that is none`, async () => {
        for (const lease of ['x', '-1']) await semaphore(A, Z, 2, op, salt(), lease);
        await expect(command('ZCARD', Z)).resolves.toBe(0);
      });
    }
  }

  for (const op of ['t', 'q']) {
    it(`${op} keeps the longest lease, whoever comes later`, async () => {
      await scripts.takeSlot(A, Z, 3, 20_000);
      await scripts.semaphore(A, Z, 3, op, salt(), 1000);
      for (const key of [Z, keys.limit]) await expect(command('PTTL', key)).resolves.toEqual(about(20_000));
      await scripts.semaphore(A, Z, 3, op, salt(), 40_000);
      for (const key of [Z, keys.limit]) await expect(command('PTTL', key)).resolves.toEqual(about(40_000));
    });

    it(`${op} takes the place of a holder whose lease is over`, async () => {
      await expire(await scripts.takeSlot(A, Z, 1));
      await expect(scripts.semaphore(B, Z, 1, op, salt(), LEASE_MS)).resolves.toMatch(FENCE);
      await expect(holders()).resolves.toHaveLength(1);
    });

    it(`${op} gives free places to the queue first`, async () => {
      const listener = await listen(B);
      const [one, two] = [await scripts.takeSlot(A, Z, 2), await scripts.takeSlot(A, Z, 2)];
      const first = await scripts.queueForSlot(B, Z, 2, 7000);
      await expire(one);
      await expire(two);
      const own = salt();
      // Two places, one of them for the waiter.
      await expect(scripts.semaphore(A, Z, 2, op, own, LEASE_MS)).resolves.toMatch(FENCE);
      expect((await holders()).map(saltOf)).toEqual([first, own]);
      await expect(listener.next()).resolves.toMatchObject([
        { type: 'granted', kind: 'sem', key: Z, confirm: false, token: (await holders())[0] },
      ]);
    });

    it(`${op} passes over waiters who are dead or cannot be reached, who keep their places`, async () => {
      const one = await scripts.takeSlot(A, Z, 1);
      await scripts.queueForSlot(B, Z, 1);
      await scripts.die(B, keys);
      const left = await scripts.queueForSlot('xeeeeeeeee', Z, 1);
      await expire(one);
      const own = salt();
      await expect(scripts.semaphore(A, Z, 1, op, own, LEASE_MS)).resolves.toMatch(FENCE);
      expect((await holders()).map(saltOf)).toEqual([own]);
      await expect(command('ZRANGE', keys.queue, 0, -1)).resolves.toEqual([waiter('xeeeeeeeee', left)]);
    });

    it(`${op} does not overtake waiters of its own client that no message reaches: its next poke serves them`, async () => {
      const one = await scripts.takeSlot(B, Z, 1);
      const first = await scripts.queueForSlot(A, Z, 1);
      await expire(one);
      const reply = await scripts.semaphore(A, Z, 1, op, salt(), LEASE_MS);
      expect(reply).toEqual(op === 't' ? -2 : [1, -2, '']);
      const poked = (await scripts.semaphore(A, Z, 1, 'p', waiter(A, first))) as [number, number, string];
      expect(saltOf(poked[2])).toBe(first);
      expect((await holders()).map(saltOf)).toEqual([first]);
    });

    it(`${op} after a hundred who cannot be reached overtakes nobody, and a poke takes the place`, async () => {
      const one = await scripts.takeSlot(A, Z, 1);
      await scripts.semaphores(
        'xeeeeeeeee',
        Array.from({ length: 100 }, () => [Z, 1, 'q', salt(), LEASE_MS] as const),
      );
      await scripts.semaphore(A, Z, 1, 'r', one, 0);
      const last = await scripts.queueForSlot(B, Z, 1);
      const reply = await scripts.semaphore(A, Z, 1, op, salt(), LEASE_MS);
      expect(reply).toEqual(op === 't' ? -2 : [101, -2, '']);
      const poked = (await scripts.semaphore(B, Z, 1, 'p', waiter(B, last))) as [number, number, string];
      expect(poked[0]).toBe(-1);
      expect(saltOf(poked[2])).toBe(last);
      expect((await holders()).map(saltOf)).toEqual([last]);
    });

    it(`${op} refuses another limit while anybody holds or waits`, async () => {
      const one = await scripts.takeSlot(A, Z, 1);
      await expect(scripts.semaphore(B, Z, 2, op, salt(), LEASE_MS)).resolves.toEqual(['L', 1]);
      const own = await scripts.queueForSlot(U, Z, 1);
      await expire(one);
      await command('DEL', Z);
      // The waiter gets the place, and with it its limit stays.
      await expect(scripts.semaphore(B, Z, 2, op, salt(), LEASE_MS)).resolves.toEqual(['L', 1]);
      expect((await holders()).map(saltOf)).toEqual([own]);
      await command('DEL', Z);
      await expect(scripts.semaphore(B, Z, 2, op, salt(), LEASE_MS)).resolves.toMatch(FENCE);
      await expect(command('GET', keys.limit)).resolves.toBe('2');
    });

    it(`${op} takes another limit where those who waited with the old one are gone`, async () => {
      const one = await scripts.takeSlot(A, Z, 1);
      await scripts.queueForSlot(B, Z, 1);
      await expire(one);
      // It may only have lost its subscription.
      await expect(scripts.semaphore(A, Z, 2, op, salt(), LEASE_MS)).resolves.toEqual(['L', 1]);
      await scripts.die(B, keys);
      await expect(scripts.semaphore(A, Z, 2, op, salt(), LEASE_MS)).resolves.toMatch(FENCE);
      await expect(command('GET', keys.limit)).resolves.toBe('2');
      await expect(command('EXISTS', keys.queue)).resolves.toBe(0);
    });

    it(`${op} believes the caller where the limit is missing`, async () => {
      await scripts.takeSlot(A, Z, 1);
      await command('DEL', keys.limit);
      await scripts.semaphore(A, Z, 2, op, salt(), 1000);
      await expect(holders()).resolves.toHaveLength(2);
      await expect(command('GET', keys.limit)).resolves.toBe('2');
      await expect(command('PTTL', keys.limit)).resolves.toEqual(about(LEASE_MS));
    });

    it(`${op} refuses a key that holds something else`, async () => {
      await command('SET', Z, 'x');
      await expect(scripts.semaphore(A, Z, 1, op, salt(), LEASE_MS)).resolves.toEqual(WRONGTYPE);
      await expect(command('GET', Z)).resolves.toBe('x');
    });
  }

  it('t finds it full, and says when the next holder expires', async () => {
    await scripts.takeSlot(A, Z, 2, 8000);
    await scripts.takeSlot(A, Z, 2, 4000);
    await expect(scripts.semaphore(B, Z, 2, 't', salt(), LEASE_MS)).resolves.toEqual(about(4000));
  });

  it('q waits behind the holders, and the limit stays as long as it does', async () => {
    await scripts.takeSlot(A, Z, 1, 1000);
    await expect(scripts.semaphore(B, Z, 1, 'q', salt(), LEASE_MS)).resolves.toEqual([0, about(1000), '']);
    await expect(scripts.semaphore(A, Z, 1, 'q', salt(), LEASE_MS)).resolves.toEqual([1, about(1000), '']);
    for (const key of [keys.queue, keys.alive, keys.limit]) {
      await expect(command('PTTL', key)).resolves.toEqual(about(2 * LIVE_MS));
    }
    await command('DEL', keys.limit);
    await scripts.semaphore(A, Z, 1, 'q', salt(), LEASE_MS);
    await expect(command('PTTL', keys.limit)).resolves.toEqual(about(2 * LIVE_MS));
  });

  it('r of an expired holder says so, and its place goes to who waits', async () => {
    const listener = await listen(B);
    const token = await scripts.takeSlot(A, Z, 1);
    const first = await scripts.queueForSlot(B, Z, 1);
    await expire(token);
    await expect(scripts.semaphore(A, Z, 1, 'r', token, 0)).resolves.toBe(0);
    await scripts.semaphore(A, Z, 1, 't', salt(), LEASE_MS);
    expect((await holders()).map(saltOf)).toEqual([first]);
    await expect(listener.next()).resolves.toHaveLength(1);
  });

  it('r serves as many as have a place: the own client by the reply, others by messages', async () => {
    const listener = await listen(B);
    const tokens = [await scripts.takeSlot(A, Z, 3), await scripts.takeSlot(A, Z, 3), await scripts.takeSlot(A, Z, 3)];
    const salts = [
      await scripts.queueForSlot(A, Z, 3),
      await scripts.queueForSlot(B, Z, 3),
      await scripts.queueForSlot(A, Z, 3),
      await scripts.queueForSlot(A, Z, 3),
    ];
    await expire(tokens[0]!);
    await expire(tokens[1]!);
    const reply = (await scripts.semaphore(A, Z, 3, 'r', tokens[2]!, 0)) as string[];
    expect(reply[0]).toBe('G');
    expect(reply.slice(1).map(saltOf)).toEqual([salts[0], salts[2]]);
    expect((await holders()).map(saltOf)).toEqual(salts.slice(0, 3));
    await expect(listener.next()).resolves.toMatchObject([{ token: (await holders())[1], confirm: false }]);
    await expect(command('ZRANGE', keys.queue, 0, -1)).resolves.toEqual([waiter(A, salts[3]!)]);
  });

  it('r has a waiter confirm whose receivers cannot be counted, and holds its place for a short while until then', async () => {
    const listener = await listen(U);
    const token = await scripts.takeSlot(A, Z, 1);
    await scripts.queueForSlot(U, Z, 1, 60_000);
    await expect(scripts.semaphore(A, Z, 1, 'r', token, 0)).resolves.toBe(1);
    const [next] = await holders();
    await expect(listener.next()).resolves.toEqual([
      { type: 'granted', kind: 'sem', token: next, key: Z, confirm: true },
    ]);
    const [, ms] = (await scripts.semaphore(B, Z, 1, 'p', waiter(B, salt()))) as number[];
    expect(ms).toEqual(about(LIVE_MS));
  });

  it('r with a time keeps the place for so long, and has the first who waits look', async () => {
    const listener = await listen(B);
    const token = await scripts.takeSlot(A, Z, 1);
    await scripts.queueForSlot(B, Z, 1);
    await expect(scripts.semaphore(A, Z, 1, 'r', token, 4000)).resolves.toBe(1);
    await expect(listener.next()).resolves.toEqual([{ type: 'look', key: Z }]);
    await expect(scripts.semaphore(A, Z, 1, 't', salt(), 1)).resolves.toEqual(about(4000));
    await expect(scripts.semaphore(A, Z, 1, 'r', `${token.slice(0, 16)}${salt()}`, 4000)).resolves.toBe(0);
    const { key, limit } = scripts.semaphoreKeys('sem:other');
    await scripts.semaphore(A, key, 1, 'r', await scripts.takeSlot(A, key, 1), 50_000);
    for (const each of [key, limit]) await expect(command('PTTL', each)).resolves.toEqual(about(50_000));
  });

  it('r with a time keeps the place from what its holder sent before, and arrives after', async () => {
    const token = await scripts.takeSlot(A, Z, 1);
    await scripts.semaphore(A, Z, 1, 'r', token, 4000);
    await expect(holders()).resolves.toEqual([`${token.slice(0, 16)}${'0'.repeat(16)}`]);
    await expect(scripts.semaphore(A, Z, 1, 'n', token, 30_000)).resolves.toBe(0);
    await expect(scripts.semaphore(A, Z, 1, 'r', token, 0)).resolves.toBe(0);
    await expect(scripts.semaphore(A, Z, 1, 'c', waiter(A, saltOf(token)))).resolves.toBe(0);
    await expect(scripts.semaphore(A, Z, 1, 't', salt(), 1)).resolves.toEqual(about(4000));
  });

  it('c leaves the queue, or frees what had been granted already', async () => {
    const token = await scripts.takeSlot(A, Z, 1);
    const [first, second] = [await scripts.queueForSlot(A, Z, 1), await scripts.queueForSlot(A, Z, 1)];
    await expect(scripts.semaphore(A, Z, 1, 'c', waiter(A, first))).resolves.toBe(1);
    await expect(scripts.semaphore(A, Z, 1, 'c', waiter(A, first))).resolves.toBe(0);
    const reply = (await scripts.semaphore(A, Z, 1, 'c', waiter(A, saltOf(token)))) as string[];
    expect([reply[0], reply.slice(1).map(saltOf)]).toEqual(['G', [second]]);
    await expect(scripts.semaphore(A, Z, 1, 'c', waiter(A, second))).resolves.toBe(2);
    await expect(holders()).resolves.toEqual([]);
  });

  it('p tells a waiter its place, and keeps it and the limit alive', async () => {
    await scripts.takeSlot(A, Z, 1, 3000);
    await scripts.queueForSlot(A, Z, 1);
    const second = await scripts.queueForSlot(B, Z, 1);
    await scripts.die(B, keys);
    for (const key of [keys.queue, keys.limit]) await command('PEXPIRE', key, 1000);
    await expect(scripts.semaphore(B, Z, 1, 'p', waiter(B, second))).resolves.toEqual([1, about(3000), '']);
    for (const key of [keys.queue, keys.limit]) {
      await expect(command('PTTL', key)).resolves.toEqual(about(2 * LIVE_MS));
    }
    expect(Number(await command('ZSCORE', keys.alive, B))).toBeGreaterThan(1);
  });

  it('p finds the place that the waiter has got without having been told', async () => {
    const token = await scripts.takeSlot(A, Z, 2, 7000);
    await scripts.takeSlot(B, Z, 2, 3000);
    await expect(scripts.semaphore(A, Z, 2, 'p', waiter(A, saltOf(token)))).resolves.toEqual([-1, about(7000), token]);
    await command('FLUSHALL');
    await expect(scripts.semaphore(A, Z, 2, 'p', waiter(A, saltOf(token)))).resolves.toEqual([-1, -2, '']);
  });

  it('p serves those who wait for what has expired', async () => {
    const listener = await listen(B);
    const tokens = [await scripts.takeSlot(U, Z, 2), await scripts.takeSlot(U, Z, 2)];
    const [first, second] = [await scripts.queueForSlot(A, Z, 2), await scripts.queueForSlot(B, Z, 2)];
    for (const token of tokens) await expire(token);
    const reply = (await scripts.semaphore(A, Z, 2, 'p', waiter(A, first))) as [number, number, ...string[]];
    const [own, other] = await holders();
    expect(reply).toEqual([-1, about(LEASE_MS), own, own]);
    expect([own, other].map((token) => saltOf(token!))).toEqual([first, second]);
    await expect(listener.next()).resolves.toMatchObject([{ token: other }]);
  });

  it('n begins the lease anew, while it lasts', async () => {
    const token = await scripts.takeSlot(A, Z, 1, 2000);
    await expect(scripts.semaphore(A, Z, 1, 'n', token, 30_000)).resolves.toBe(1);
    await expect(scripts.semaphore(A, Z, 1, 't', salt(), 1)).resolves.toEqual(about(30_000));
    for (const key of [Z, keys.limit]) await expect(command('PTTL', key)).resolves.toEqual(about(30_000));
    await expire(token);
    await expect(scripts.semaphore(A, Z, 1, 'n', token, 30_000)).resolves.toBe(0);
    await expect(holders()).resolves.toEqual([]);
    await expect(scripts.semaphore(A, Z, 1, 'n', `${token.slice(0, 16)}${salt()}`, 1000)).resolves.toBe(0);
  });

  it('i counts those who hold it', async () => {
    await expect(scripts.semaphore(A, Z, 3, 'i', '')).resolves.toBe(0);
    const token = await scripts.takeSlot(A, Z, 3);
    await scripts.takeSlot(A, Z, 3);
    await expect(scripts.semaphore(A, Z, 3, 'i', '')).resolves.toBe(2);
    await expire(token);
    await expect(scripts.semaphore(A, Z, 3, 'i', '')).resolves.toBe(1);
  });

  it('an op that fails harms no other op of its batch', async () => {
    await command('SET', 'sem:b', 'x');
    const replies = await scripts.semaphores(A, [
      ['sem:b', 1, 'q', salt(), LEASE_MS],
      [Z, 1, 't', salt(), LEASE_MS],
      ['sem:b', 1, 'n', 'x', 1000],
      [Z, 1, 'x', 'x'],
      [Z, 1, 't', salt(), LEASE_MS],
    ]);
    expect(replies).toEqual([
      WRONGTYPE,
      expect.stringMatching(FENCE),
      WRONGTYPE,
      ['E', 'ERR unknown op'],
      about(LEASE_MS),
    ]);
  });

  it('nothing is left behind when all is over', async () => {
    const token = await scripts.takeSlot(A, Z, 1, 200);
    await scripts.semaphore(A, Z, 1, 'r', token, 0);
    await until(async () => ((await command('KEYS', '*')) as string[]).length === 1, 'only the counter to be left');
    expect(TOKEN.test(token)).toBe(true);
  });
});
