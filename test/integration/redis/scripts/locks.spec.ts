import { expect, it } from '@jest/globals';
import { singleAcquireScript, singleReleaseScript } from '../../../../lib/backends/redis/scripts/single-scripts.js';
import { saltOf } from '../../../../lib/backends/redis/scripts/token.js';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { until } from '../../../support/until.js';
import { A, about, B, FENCE, LEASE_MS, LIVE_MS, salt, scriptServer, TOKEN, U, waiter, WRONGTYPE } from './support.js';

const K = 'lock:a';
describeRedis('the script of locks', () => {
  const { scripts, command, listen } = scriptServer();
  const value = (): Promise<unknown> => command('GET', K);
  const expire = async (): Promise<void> => {
    await command('PEXPIRE', K, 1);
    await until(async () => (await command('EXISTS', K)) === 0, 'the end of the lease');
  };
  const queue = (): Promise<unknown> => command('ZRANGE', scripts.keys(K).queue, 0, -1);
  const member = (client: string, ofSalt: string): string => waiter(client, ofSalt);

  // The short cuts of a call with one op, and the way of all others, must not differ.
  const ways = [
    [
      'by a script of its own',
      (client: string, ...op: [string, string | number, (string | number)?]) => scripts.single(client, K, ...op),
    ],
    ['alone', (client: string, ...op: [string, string | number, (string | number)?]) => scripts.lock(client, K, ...op)],
    [
      'in a batch',
      async (client: string, ...op: [string, string | number, (string | number)?]) =>
        (
          await scripts.locks(client, [
            [K, ...op],
            ['lock:other', 'r', 'x', 0],
          ])
        )[0],
    ],
  ] as const;

  for (const [way, lock] of ways) {
    for (const op of ['t', 'q']) {
      it(`${op} ${way} takes a free lock: token, lease and fence are in Redis`, async () => {
        const own = salt();
        const digits = await lock(A, op, own, LEASE_MS);
        expect(digits).toMatch(FENCE);
        await expect(value()).resolves.toBe(`${digits as string}${own}`);
        await expect(command('PTTL', K)).resolves.toEqual(about(LEASE_MS));
        await expect(command('GET', 'dflockd:fence')).resolves.toBe(digits);
        await expect(command('KEYS', '*')).resolves.toHaveLength(2);
      });

      it(`${op} ${way} refuses a key that holds something else, and leaves it`, async () => {
        await command('RPUSH', K, 'x');
        await expect(lock(A, op, salt(), LEASE_MS)).resolves.toEqual(WRONGTYPE);
        await expect(command('LRANGE', K, 0, -1)).resolves.toEqual(['x']);
      });
    }

    it(`r ${way} frees its lock`, async () => {
      const token = await scripts.take(A, K);
      await expect(lock(A, 'r', token, 0)).resolves.toBe(1);
      await expect(value()).resolves.toBeNull();
      await expect(lock(A, 'r', token, 0)).resolves.toBe(0);
    });

    it(`r ${way} leaves a lock of somebody else`, async () => {
      const token = await scripts.take(A, K);
      await expect(lock(B, 'r', `${token.slice(0, 16)}${salt()}`, 0)).resolves.toBe(0);
      await expect(value()).resolves.toBe(token);
      await command('SET', K, 'foreign');
      await expect(lock(A, 'r', token, 0)).resolves.toBe(0);
      await expect(value()).resolves.toBe('foreign');
    });

    it(`r ${way} refuses a key that holds something else`, async () => {
      await command('RPUSH', K, 'x');
      await expect(lock(A, 'r', 'x', 0)).resolves.toEqual(WRONGTYPE);
      await expect(command('LLEN', K)).resolves.toBe(1);
    });

    it(`r ${way} with a time keeps the lock for so long`, async () => {
      const token = await scripts.take(A, K);
      await expect(lock(A, 'r', token, 4000)).resolves.toBe(1);
      await expect(command('PTTL', K)).resolves.toEqual(about(4000));
    });

    it(`r ${way} with a time keeps it from what its holder sent before, and arrives after`, async () => {
      const token = await scripts.take(A, K);
      await lock(A, 'r', token, 4000);
      await expect(value()).resolves.toBe(`${token.slice(0, 16)}${'0'.repeat(16)}`);
      await expect(scripts.renew(LEASE_MS, [K, token])).resolves.toEqual([0]);
      await expect(lock(A, 'r', token, 0)).resolves.toBe(0);
      await expect(lock(A, 'r', token, 9000)).resolves.toBe(0);
      await expect(lock(A, 'c', waiter(A, saltOf(token)))).resolves.toBe(0);
      await expect(command('PTTL', K)).resolves.toEqual(about(4000));
    });
  }

  it('t finds a held lock busy, and says for how long', async () => {
    await scripts.take(A, K);
    await expect(scripts.lock(A, K, 't', salt(), LEASE_MS)).resolves.toEqual(about(LEASE_MS));
    await expect(scripts.lock(B, K, 't', salt(), LEASE_MS)).resolves.toEqual(about(LEASE_MS));
    await command('SET', K, 'foreign');
    await expect(scripts.lock(B, K, 't', salt(), LEASE_MS)).resolves.toBe(-1);
    await expect(command('KEYS', '*')).resolves.toHaveLength(2);
  });

  it('the scripts for the usual cases leave all others to the script of locks', async () => {
    const { key, queue, fence } = scripts.keys(K);
    const acquire = (): Promise<unknown> => scripts.run(singleAcquireScript, [fence, key, queue], [salt(), LEASE_MS]);
    const token = await scripts.take(A, K);
    await expect(acquire()).resolves.toBeNull();
    await scripts.queue(U, K);
    await expect(scripts.run(singleReleaseScript, [key, queue], [token])).resolves.toBeNull();
    await expire();
    await expect(acquire()).resolves.toBeNull();
    await expect(value()).resolves.toBeNull();
    await expect(command('ZCARD', queue)).resolves.toBe(1);
  });

  it('q waits behind a holder, in the order of the calls, and its places end with its client', async () => {
    const token = await scripts.take(A, K);
    const salts = [salt(), salt(), salt()];
    const replies = [
      await scripts.lock(B, K, 'q', salts[0]!, LEASE_MS),
      await scripts.lock(A, K, 'q', salts[1]!, LEASE_MS),
      await scripts.lock(B, K, 'q', salts[2]!, LEASE_MS),
    ];
    expect(replies).toEqual([0, 1, 2].map((rank) => [rank, about(LEASE_MS), token]));
    await expect(command('ZRANGE', scripts.keys(K).queue, 0, -1)).resolves.toEqual([
      member(B, salts[0]!),
      member(A, salts[1]!),
      member(B, salts[2]!),
    ]);
    for (const key of [scripts.keys(K).queue, scripts.keys(K).alive]) {
      await expect(command('PTTL', key)).resolves.toEqual(about(2 * LIVE_MS));
    }
  });

  it('q sees a foreign holder, of whose value it says no more than that it is no token', async () => {
    await command('SET', K, 'x'.repeat(5000));
    await expect(scripts.lock(A, K, 'q', salt(), LEASE_MS)).resolves.toEqual([0, -1, 'x'.repeat(33)]);
  });

  for (const op of ['t', 'q']) {
    it(`${op} after an expiry serves the queue first`, async () => {
      const listener = await listen(B);
      await scripts.take(A, K);
      const first = await scripts.queue(B, K);
      await expire();
      const reply = await scripts.lock(A, K, op, salt(), 1000);
      const token = await value();
      expect(token).toMatch(TOKEN);
      expect(saltOf(token as string)).toBe(first);
      expect(reply).toEqual(op === 't' ? about(LEASE_MS) : [0, about(LEASE_MS), token]);
      await expect(listener.next()).resolves.toEqual([
        { type: 'granted', kind: 'lock', token, key: K, confirm: false },
      ]);
    });

    it(`${op} after an expiry takes it where those who wait are dead or cannot be reached, who keep their places`, async () => {
      await scripts.take(A, K);
      await scripts.queue(B, K);
      await scripts.die(B, scripts.keys(K));
      const left = await scripts.queue('xddddddddd', K);
      await expire();
      const own = salt();
      const digits = await scripts.lock(A, K, op, own, LEASE_MS);
      expect(digits).toMatch(FENCE);
      await expect(value()).resolves.toBe(`${digits as string}${own}`);
      await expect(queue()).resolves.toEqual([member('xddddddddd', left)]);
      await expect(command('PTTL', scripts.keys(K).queue)).resolves.toEqual(about(2 * LIVE_MS));
    });

    it(`${op} does not overtake waiters of its own client that no message reaches: its next poke serves them`, async () => {
      await scripts.take(B, K);
      const first = await scripts.queue(A, K);
      await expire();
      const own = salt();
      const reply = await scripts.lock(A, K, op, own, LEASE_MS);
      expect(reply).toEqual(op === 't' ? -2 : [1, -2, '']);
      await expect(value()).resolves.toBeNull();
      const poked = (await scripts.lock(A, K, 'p', member(A, first))) as [number, number, string];
      expect(saltOf(poked[2])).toBe(first);
    });

    it(`${op} after an expiry tells a waiter of its own client by a message`, async () => {
      const listener = await listen(A);
      await scripts.take(B, K);
      const first = await scripts.queue(A, K);
      await expire();
      await scripts.lock(A, K, op, salt(), LEASE_MS);
      const token = await value();
      expect(saltOf(token as string)).toBe(first);
      await expect(listener.next()).resolves.toMatchObject([{ type: 'granted', token }]);
    });
  }

  it('r gives it to the first who waits, and tells it', async () => {
    const listener = await listen(B);
    const token = await scripts.take(A, K);
    const first = await scripts.queue(B, K, 7000);
    const second = await scripts.queue(B, K);
    await expect(scripts.lock(A, K, 'r', token, 0)).resolves.toBe(1);
    const next = (await value()) as string;
    expect(saltOf(next)).toBe(first);
    expect(next > token).toBe(true);
    await expect(command('PTTL', K)).resolves.toEqual(about(7000));
    await expect(listener.next()).resolves.toEqual([
      { type: 'granted', kind: 'lock', token: next, key: K, confirm: false },
    ]);
    await expect(command('ZRANGE', scripts.keys(K).queue, 0, -1)).resolves.toEqual([member(B, second)]);
  });

  it('r gives it to a waiter of the same client by the reply, without a message', async () => {
    const listener = await listen(A);
    const token = await scripts.take(A, K);
    const first = await scripts.queue(A, K, 7000);
    const next = await scripts.lock(A, K, 'r', token, 0);
    expect(next).toMatch(TOKEN);
    expect(saltOf(next as string)).toBe(first);
    await expect(value()).resolves.toBe(next);
    await expect(command('PTTL', K)).resolves.toEqual(about(7000));
    await expect(listener.all()).resolves.toEqual([]);
  });

  it('r serves a waiter of the same client though it has not poked: who calls is alive', async () => {
    const token = await scripts.take(A, K);
    const first = await scripts.queue(A, K);
    await scripts.die(A, scripts.keys(K));
    expect(saltOf((await scripts.lock(A, K, 'r', token, 0)) as string)).toBe(first);
  });

  it('r passes over the dead and those whom nobody can reach', async () => {
    const listener = await listen(B);
    const token = await scripts.take(A, K);
    await scripts.queue('xddddddddd', K);
    await scripts.die('xddddddddd', scripts.keys(K));
    await scripts.queue('xeeeeeeeee', K);
    const third = await scripts.queue(B, K);
    await expect(scripts.lock(A, K, 'r', token, 0)).resolves.toBe(1);
    const next = (await value()) as string;
    expect(saltOf(next)).toBe(third);
    await expect(listener.next()).resolves.toMatchObject([{ token: next }]);
    await expect(command('PTTL', K)).resolves.toEqual(about(LEASE_MS));
  });

  it('r frees it where nobody of those who wait can be told, and they are served in order afterwards', async () => {
    const token = await scripts.take(A, K);
    const waits = [await scripts.queue(B, K), await scripts.queue(U.replace('u', 'x'), K), await scripts.queue(B, K)];
    await expect(scripts.lock(A, K, 'r', token, 0)).resolves.toBe(1);
    await expect(value()).resolves.toBeNull();
    const listener = await listen(B);
    // Whoever pokes first takes it, whichever of its waiters it asks for.
    let [, , held] = (await scripts.lock(B, K, 'p', member(B, waits[2]!))) as [number, number, string];
    expect(saltOf(held)).toBe(waits[0]);
    const other = await listen(U.replace('u', 'x'));
    await scripts.lock(B, K, 'r', held, 0);
    [held] = [(await value()) as string];
    expect(saltOf(held)).toBe(waits[1]);
    await expect(other.next()).resolves.toMatchObject([{ token: held }]);
    await scripts.lock(U.replace('u', 'x'), K, 'r', held, 0);
    expect(saltOf((await value()) as string)).toBe(waits[2]);
    await expect(listener.next()).resolves.toHaveLength(1);
  });

  it('the places of those who could not be told end with their liveness', async () => {
    const token = await scripts.take(A, K);
    await scripts.queue('xddddddddd', K);
    await scripts.lock(A, K, 'r', token, 0);
    await scripts.die('xddddddddd', scripts.keys(K));
    const next = await scripts.take(A, K);
    await expect(value()).resolves.toBe(next);
    await expect(command('EXISTS', scripts.keys(K).queue, scripts.keys(K).alive)).resolves.toBe(0);
  });

  it('no more than a hundred are skipped at once; nobody overtakes who is behind them, and a poke takes it', async () => {
    const token = await scripts.take(A, K);
    const crowd = Array.from({ length: 150 }, () => [K, 'q', salt(), LEASE_MS] as const);
    for (let i = 0; i < 3; i++) await scripts.locks(`xddddddd0${i}`, crowd.slice(50 * i, 50 * (i + 1)));
    const listener = await listen(B);
    const last = await scripts.queue(B, K);
    await scripts.lock(A, K, 'r', token, 0);
    await expect(value()).resolves.toBeNull();
    await expect(scripts.lock(A, K, 't', salt(), LEASE_MS)).resolves.toBe(-2);
    await expect(scripts.lock(A, K, 'q', salt(), LEASE_MS)).resolves.toEqual([151, -2, '']);
    const reply = (await scripts.lock(B, K, 'p', member(B, last))) as [number, number, string];
    expect(reply).toEqual([-1, about(LEASE_MS), expect.stringMatching(TOKEN)]);
    expect(saltOf(reply[2])).toBe(last);
    await expect(value()).resolves.toBe(reply[2]);
    await expect(command('ZCARD', scripts.keys(K).queue)).resolves.toBe(151);
    await expect(listener.all()).resolves.toEqual([]);
  });

  it('r has a waiter confirm whose receivers cannot be counted, and holds it for a short while until then', async () => {
    const listener = await listen(U);
    const token = await scripts.take(A, K);
    const first = await scripts.queue(U, K, 60_000);
    await expect(scripts.lock(A, K, 'r', token, 0)).resolves.toBe(1);
    const next = (await value()) as string;
    expect(saltOf(next)).toBe(first);
    await expect(command('PTTL', K)).resolves.toEqual(about(LIVE_MS));
    await expect(listener.next()).resolves.toEqual([
      { type: 'granted', kind: 'lock', token: next, key: K, confirm: true },
    ]);
  });

  it('r gives a shorter lease than that to who asked for one', async () => {
    const token = await scripts.take(A, K);
    await scripts.queue(U, K, 3000);
    await scripts.lock(A, K, 'r', token, 0);
    await expect(command('PTTL', K)).resolves.toEqual(about(3000));
  });

  it('r with a time has the first who waits look at the key', async () => {
    const listener = await listen(B);
    const token = await scripts.take(A, K);
    await scripts.queue(B, K);
    await scripts.lock(A, K, 'r', token, 4000);
    await expect(listener.next()).resolves.toEqual([{ type: 'look', key: K }]);
    await expect(command('ZCARD', scripts.keys(K).queue)).resolves.toBe(1);
  });

  it('c leaves the queue', async () => {
    const token = await scripts.take(A, K);
    const first = await scripts.queue(B, K);
    await expect(scripts.lock(B, K, 'c', member(B, first))).resolves.toBe(1);
    await expect(scripts.lock(B, K, 'c', member(B, first))).resolves.toBe(0);
    await expect(value()).resolves.toBe(token);
    await expect(command('EXISTS', scripts.keys(K).queue)).resolves.toBe(0);
  });

  it('c frees what had been granted already, for the next who waits', async () => {
    const own = salt();
    await scripts.lock(A, K, 't', own, LEASE_MS);
    await expect(scripts.lock(A, K, 'c', member(A, own))).resolves.toBe(2);
    await expect(value()).resolves.toBeNull();

    await scripts.lock(A, K, 't', own, LEASE_MS);
    const next = await scripts.queue(A, K);
    const token = (await scripts.lock(A, K, 'c', member(A, own))) as string;
    expect(saltOf(token)).toBe(next);
    await expect(value()).resolves.toBe(token);
  });

  it('c does not free what somebody else holds', async () => {
    await expect(scripts.lock(A, K, 'c', member(A, salt()))).resolves.toBe(0);
    const own = salt();
    await command('SET', K, `foreign with ${own}`);
    await expect(scripts.lock(A, K, 'c', member(A, own))).resolves.toBe(0);
    await expect(value()).resolves.toBe(`foreign with ${own}`);
    await command('DEL', K);
    await command('RPUSH', K, 'x');
    await expect(scripts.lock(A, K, 'c', member(A, own))).resolves.toEqual(WRONGTYPE);
  });

  it('p tells a waiter its place, and keeps it alive', async () => {
    const token = await scripts.take(A, K);
    await scripts.queue(A, K);
    const second = await scripts.queue(B, K);
    await scripts.die(B, scripts.keys(K));
    await command('PEXPIRE', scripts.keys(K).queue, 1000);
    await expect(scripts.lock(B, K, 'p', member(B, second))).resolves.toEqual([1, about(LEASE_MS), token]);
    await expect(command('PTTL', scripts.keys(K).queue)).resolves.toEqual(about(2 * LIVE_MS));
    const [seconds] = (await command('TIME')) as string[];
    const alive = Number(await command('ZSCORE', scripts.keys(K).alive, B));
    expect(alive).toEqual(about((Number(seconds) + 1) * 1000 + LIVE_MS));
    // Nobody else is kept alive by it.
    await scripts.die(A, scripts.keys(K));
    await scripts.lock(B, K, 'p', member(B, second));
    await expect(command('ZSCORE', scripts.keys(K).alive, A)).resolves.toBe('1');
  });

  it('p tells a waiter that its place is lost', async () => {
    await scripts.take(A, K);
    const first = await scripts.queue(B, K);
    await command('FLUSHALL');
    await expect(scripts.lock(B, K, 'p', member(B, first))).resolves.toEqual([-1, -2, '']);
    const foreign = 'x'.repeat(40);
    await command('SET', K, foreign);
    await expect(scripts.lock(B, K, 'p', member(B, first))).resolves.toEqual([-1, -1, foreign.slice(0, 33)]);
  });

  it('p after an expiry serves the first who waits: the own client by the reply, others by a message', async () => {
    await scripts.take(A, K);
    const first = await scripts.queue(B, K, 7000);
    const second = await scripts.queue(A, K);
    await expire();
    const [rank, ttl, token] = (await scripts.lock(B, K, 'p', member(B, first))) as [number, number, string];
    expect([rank, ttl, saltOf(token)]).toEqual([-1, about(7000), first]);

    const third = await scripts.queue(B, K);
    const listener = await listen(A);
    await expire();
    const reply = (await scripts.lock(B, K, 'p', member(B, third))) as [number, number, string];
    expect(saltOf(reply[2])).toBe(second);
    expect(reply[0]).toBe(0);
    await expect(listener.next()).resolves.toMatchObject([{ token: reply[2] }]);
  });

  it('p leaves a free lock free where nobody who waits can be told', async () => {
    await scripts.take(A, K);
    await scripts.queue('xddddddddd', K);
    await expire();
    await expect(scripts.lock(B, K, 'p', member(B, salt()))).resolves.toEqual([-1, -2, '']);
    await expect(command('EXISTS', K)).resolves.toBe(0);
  });

  it('p refuses a key that holds something else', async () => {
    await command('RPUSH', K, 'x');
    await expect(scripts.lock(A, K, 'p', member(A, salt()))).resolves.toEqual(WRONGTYPE);
  });

  it('an unknown op is an error', async () => {
    await expect(scripts.lock(A, K, 'x', 'x')).resolves.toEqual(['E', 'ERR unknown op']);
  });

  it('two ops on one key in one batch are done in their order', async () => {
    const [s1, s2, s3] = [salt(), salt(), salt()];
    const [digits, queued, tried] = await scripts.locks(A, [
      [K, 'q', s1, LEASE_MS],
      [K, 'q', s2, LEASE_MS],
      [K, 't', s3, LEASE_MS],
    ]);
    expect([digits, queued, tried]).toEqual([
      expect.stringMatching(FENCE),
      [0, about(LEASE_MS), `${digits as string}${s1}`],
      about(LEASE_MS),
    ]);
    const [handed, again, cancelled] = await scripts.locks(A, [
      [K, 'r', `${digits as string}${s1}`, 0],
      [K, 'r', `${digits as string}${s1}`, 0],
      [K, 'c', member(A, s2)],
    ]);
    expect([saltOf(handed as string), again, cancelled]).toEqual([s2, 0, 2]);
    await expect(value()).resolves.toBeNull();
  });

  it('an op that fails harms no other op of its batch', async () => {
    await command('RPUSH', K, 'x');
    const replies = await scripts.locks(A, [
      [K, 'q', salt(), LEASE_MS],
      ['lock:b', 't', salt(), LEASE_MS],
      [K, 'p', member(A, salt())],
      ['lock:c', 't', salt(), 0],
      ['lock:d', 't', salt(), LEASE_MS],
    ]);
    expect(replies).toEqual([
      WRONGTYPE,
      expect.stringMatching(FENCE),
      WRONGTYPE,
      ['E', expect.stringMatching(/^ERR invalid expire/)],
      expect.stringMatching(FENCE),
    ]);
  });
});
