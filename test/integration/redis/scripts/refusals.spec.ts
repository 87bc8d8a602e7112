import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { saltOf } from '../../../../lib/backends/redis/scripts/token.js';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { RedisServer } from '../../../support/redis/server.js';
import { A, about, LEASE_MS, LIVE_MS, salt, Scripts, U, waiter } from './support.js';

const K = 'lock:a';
const Z = 'sem:a';
const OOM = ['E', expect.stringMatching(/^OOM /)];

describeRedis('where Redis refuses', () => {
  let server: RedisServer;
  let scripts: Scripts;

  const command: RedisServer['command'] = (...args) => server.command(...args);
  const keys = async (): Promise<string[]> => ((await command('KEYS', '*')) as string[]).sort();

  beforeAll(async () => {
    server = await RedisServer.start({ users: { mute: 'on nopass ~* resetchannels +@all' } });
    scripts = new Scripts(server);
  });

  beforeEach(async () => {
    await command('CONFIG', 'SET', 'maxmemory', 0);
    await command('FLUSHALL');
  });

  afterAll(() => server.stop());

  /** The memory is used up. */
  const fill = (): Promise<unknown> => command('CONFIG', 'SET', 'maxmemory', 1);

  it('memory: an acquire fails before it has written anything', async () => {
    await scripts.take(A, 'lock:held');
    await scripts.takeSlot(A, 'sem:held', 1);
    await command('DEL', 'dflockd:fence');
    const before = await keys();
    await fill();
    for (const op of ['t', 'q']) {
      await expect(scripts.lock(A, K, op, salt(), LEASE_MS)).resolves.toEqual(OOM);
      await expect(scripts.semaphore(A, Z, 1, op, salt(), LEASE_MS)).resolves.toEqual(OOM);
    }
    await expect(scripts.lock(A, 'lock:held', 'q', salt(), LEASE_MS)).resolves.toEqual(OOM);
    await expect(scripts.semaphore(A, 'sem:held', 1, 'q', salt(), LEASE_MS)).resolves.toEqual(OOM);
    await expect(
      scripts.locks(A, [
        [K, 't', salt(), LEASE_MS],
        ['lock:b', 'q', salt(), LEASE_MS],
      ]),
    ).resolves.toEqual([OOM, OOM]);
    await expect(keys()).resolves.toEqual(before);
  });

  it('memory: a renewal and a release work, and who waits is served', async () => {
    const token = await scripts.take(A, K);
    const other = await scripts.take(A, 'lock:kept');
    const first = await scripts.queue(A, K);
    const second = await scripts.queue(U, K);
    await fill();
    await expect(scripts.renew(20_000, [K, token])).resolves.toBe(1);
    await expect(scripts.lock(A, 'lock:kept', 'r', other, 4000)).resolves.toBe(1);
    await expect(command('GET', 'lock:kept')).resolves.toBe(`${other.slice(0, 16)}${'0'.repeat(16)}`);
    await expect(command('PTTL', 'lock:kept')).resolves.toEqual(about(4000));
    const next = (await scripts.lock(A, K, 'r', token, 0)) as string;
    expect(saltOf(next)).toBe(first);
    await expect(scripts.lock(A, K, 'c', waiter(A, first))).resolves.toBe(2);
    const last = (await command('GET', K)) as string;
    expect(saltOf(last)).toBe(second);
    await expect(scripts.lock(U, K, 'r', last, 0)).resolves.toBe(1);
    await expect(command('EXISTS', K)).resolves.toBe(0);
  });

  it('memory: places of semaphores are renewed, released and handed over', async () => {
    const token = await scripts.takeSlot(A, Z, 1);
    const first = await scripts.queueForSlot(A, Z, 1);
    await fill();
    const reply = (await scripts.semaphore(A, Z, 1, 'r', token, 0)) as string[];
    expect(reply.slice(1).map(saltOf)).toEqual([first]);
    await expect(scripts.semaphore(A, Z, 1, 'r', reply[1]!, 0)).resolves.toBe(1);
  });

  it('memory: places of semaphores are renewed and kept for a while', async () => {
    const token = await scripts.takeSlot(A, Z, 1);
    await fill();
    await expect(scripts.semaphore(A, Z, 1, 'n', token, 30_000)).resolves.toBe(1);
    await expect(scripts.semaphore(A, Z, 1, 't', salt(), 1)).resolves.toEqual(about(30_000));
    await expect(scripts.semaphore(A, Z, 1, 'r', token, 4000)).resolves.toBe(1);
    await expect(scripts.semaphore(A, Z, 1, 't', salt(), 1)).resolves.toEqual(about(4000));
  });

  it('memory: a poke keeps its client alive, and serves who waits for what has expired', async () => {
    const token = await scripts.take(U, K);
    await scripts.takeSlot(U, Z, 1);
    const first = await scripts.queue(A, K);
    const other = await scripts.queueForSlot(A, Z, 1);
    for (const keys of [scripts.keys(K), scripts.semaphoreKeys(Z)]) await scripts.die(A, keys);
    await fill();
    await expect(scripts.lock(A, K, 'p', waiter(A, first))).resolves.toEqual([0, about(LEASE_MS), token]);
    await expect(scripts.semaphore(A, Z, 1, 'p', waiter(A, other))).resolves.toEqual([0, about(LEASE_MS), '']);
    for (const { alive } of [scripts.keys(K), scripts.semaphoreKeys(Z)]) {
      expect(Number(await command('ZSCORE', alive, A))).toBeGreaterThan(1);
    }
    await command('DEL', K, Z);
    const [, , next] = (await scripts.lock(A, K, 'p', waiter(A, first))) as [number, number, string];
    expect(saltOf(next)).toBe(first);
    const [, , , place] = (await scripts.semaphore(A, Z, 1, 'p', waiter(A, other))) as [number, number, string, string];
    expect(saltOf(place)).toBe(other);
  });

  it('messages: who is served without having been told gets a short lease', async () => {
    const connection = await server.connect();
    try {
      await connection.command('AUTH', 'mute', 'x');
      const mute = new Scripts({ port: server.port, command: (...args) => connection.command(...args) });
      const token = await mute.take(A, K);
      const first = await scripts.queue('xeeeeeeeee', K, 60_000);
      await expect(mute.lock(A, K, 'r', token, 0)).resolves.toBe(1);
      const next = (await command('GET', K)) as string;
      expect(saltOf(next)).toBe(first);
      await expect(command('PTTL', K)).resolves.toEqual(about(LIVE_MS));

      const place = await mute.takeSlot(A, Z, 1);
      await scripts.queueForSlot('xeeeeeeeee', Z, 1, 60_000);
      await expect(mute.semaphore(A, Z, 1, 'r', place, 0)).resolves.toBe(1);
      await expect(scripts.semaphore(A, Z, 1, 't', salt(), 1)).resolves.toEqual(about(LIVE_MS));
    } finally {
      connection.close();
    }
  });

  it('a replica: nothing is given', async () => {
    const replica = await RedisServer.start({ config: [`replicaof 127.0.0.1 ${server.port}`] });
    try {
      const there = new Scripts(replica);
      await expect(there.lock(A, K, 't', salt(), LEASE_MS)).resolves.toEqual([
        'E',
        expect.stringMatching(/^READONLY /),
      ]);
      await expect(there.semaphore(A, Z, 1, 't', salt(), LEASE_MS)).resolves.toEqual([
        'E',
        expect.stringMatching(/^READONLY /),
      ]);
    } finally {
      await replica.stop();
    }
  });
});
