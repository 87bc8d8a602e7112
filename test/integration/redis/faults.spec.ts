import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { LockHandle } from '../../../lib/locks/handle/lock-handle.js';
import type { LockClient } from '../../../lib/locks/lock-client.js';
import { Proxy } from '../../support/proxy.js';
import { describeRedis } from '../../support/redis/describe-redis.js';
import { inTime, until } from '../../support/until.js';
import { median, RedisWorld, toldAt } from './support/world.js';

const LEASE_S = 2;
const LEASE_MS = LEASE_S * 1000;
/** A renewal interval, and what the machine may take. */
const TOLD_MS = LEASE_MS / 3 + 100;
const PAUSE_MS = 333;

let world: RedisWorld;

beforeEach(async () => {
  world = await RedisWorld.open();
});

afterEach(() => world?.close());

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves with the time at which somebody who does not use this package has the key. */
async function rivalIn(key: string): Promise<number> {
  const rival = world.redis();
  for (;;) {
    if ((await rival.set(`lock:${key}`, 'rival', 'PX', 60_000, 'NX')) === 'OK') return performance.now();
    await pause(5);
  }
}

const queued = (key: string, count: number): Promise<unknown> =>
  until(async () => (await world.server.command('ZCARD', `{lock:${key}}:q`)) === count, `${count} waiters`);

/** A client behind a proxy. */
async function proxied(): Promise<{ client: LockClient<any>; proxy: Proxy }> {
  const proxy = await Proxy.to(world.server.port);
  world.later(() => proxy.close());
  const client = await world.client({}, { port: Number(proxy.address.split(':')[1]) });
  return { client, proxy };
}

const fenceOf = (lock: LockHandle): bigint => lock.fence!;

describeRedis('a holder on Redis', () => {
  it('loses nothing when its connections are reset', async () => {
    const { client, proxy } = await proxied();
    const lock = await client.acquire('key', { leaseTtlS: LEASE_S });
    proxy.reset();
    await pause(LEASE_MS * 1.3);
    expect(lock.isHeld).toBe(true);
    expect(await lock.release()).toBe(true);
    expect(await world.server.command('EXISTS', 'lock:key')).toBe(0);
  });

  it.each(['normal', 'pubsub'])('loses nothing when Redis kills its %s connections', async (type) => {
    const client = await world.client();
    const lock = await client.acquire('key', { leaseTtlS: LEASE_S });
    const next = client.acquire('key', { leaseTtlS: LEASE_S, acquireTimeoutS: 10 });
    await queued('key', 1);
    await world.server.command('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
    await pause(LEASE_MS * 0.8);
    expect(lock.isHeld).toBe(true);
    const at = performance.now();
    expect(await lock.release()).toBe(true);
    const second = await next;
    expect(performance.now() - at).toBeLessThan(1500);
    expect(fenceOf(second)).toBeGreaterThan(fenceOf(lock));
    await second.release();
  });

  it('hears that its network is a black hole before a rival gets in', async () => {
    const { client, proxy } = await proxied();
    const lock = await client.acquire('key', { leaseTtlS: LEASE_S });
    const told = toldAt(lock);
    await pause(LEASE_MS / 4);
    proxy.blackHole();
    const rival = await inTime(rivalIn('key'), 'the rival');
    expect(lock.isHeld).toBe(false);
    expect(await inTime(told, 'the news')).toBeLessThan(rival);
  });

  it('hears that Redis is silent before a rival gets in', async () => {
    const client = await world.client();
    const lock = await client.acquire('key', { leaseTtlS: LEASE_S });
    const told = toldAt(lock);
    world.server.pause();
    const rival = rivalIn('key');
    await pause(LEASE_MS + 500);
    world.server.resume();
    expect(await inTime(told, 'the news')).toBeLessThan(await inTime(rival, 'the rival'));
  });

  it('hears within a renewal interval that somebody deleted its key; the fence of the next one is higher', async () => {
    const client = await world.client();
    const rivals = await world.client();
    const waits: number[] = [];
    for (let i = 0; i < 3; i++) {
      const lock = await client.acquire(`key-${i}`, { leaseTtlS: LEASE_S });
      const told = toldAt(lock);
      await pause(100 * i);
      const at = performance.now();
      await world.server.command('DEL', `lock:key-${i}`);
      const rival = await rivals.acquire(`key-${i}`);
      expect(fenceOf(rival)).toBeGreaterThan(fenceOf(lock));
      waits.push((await inTime(told, 'the news')) - at);
    }
    expect(median(waits)).toBeLessThan(TOLD_MS);
    expect(Math.max(...waits)).toBeLessThan(TOLD_MS + PAUSE_MS);
  });

  it('that watches its key hears at once that somebody deleted it', async () => {
    const client = await world.client({ watch: true });
    const waits: number[] = [];
    for (let i = 0; i < 3; i++) {
      const lock = await client.acquire(`key-${i}`, { leaseTtlS: LEASE_S });
      const told = toldAt(lock);
      // Keys are watched from the first renewal on.
      await pause(LEASE_MS / 3 + 150);
      const at = performance.now();
      await world.server.command('DEL', `lock:key-${i}`);
      waits.push((await inTime(told, 'the news')) - at);
    }
    expect(median(waits)).toBeLessThan(60);
  });

  it('is told when Redis comes back with nothing, and the next one has a higher fence', async () => {
    const client = await world.client();
    const lock = await client.acquire('key', { leaseTtlS: 30 });
    const told = toldAt(lock);
    await world.server.restart();
    const at = performance.now();
    const others = await world.client();
    const rival = await others.acquire('key', { leaseTtlS: LEASE_S });
    expect(fenceOf(rival)).toBeGreaterThan(fenceOf(lock));
    // At the reconnect, long before its lease or its renewal.
    expect((await inTime(told, 'the news')) - at).toBeLessThan(6000);
    expect(lock.isHeld).toBe(false);
  });
});

describeRedis('those who wait on Redis', () => {
  it('are all served after FLUSHALL and SCRIPT FLUSH, one at a time', async () => {
    const clients = await Promise.all([world.client(), world.client(), world.client()]);
    const holder = await world.client();
    const lock = await holder.acquire('key', { leaseTtlS: LEASE_S });
    let inside = 0;
    const waiting = clients.map((client) =>
      client.withLock('key', { leaseTtlS: LEASE_S, acquireTimeoutS: 20 }, async () => {
        expect(++inside).toBe(1);
        await pause(10);
        inside--;
      }),
    );
    await queued('key', 3);
    const at = performance.now();
    await world.server.command('FLUSHALL');
    await world.server.command('SCRIPT', 'FLUSH');
    await inTime(Promise.all(waiting), 'the waiters');
    // A poke of each, and the work of each.
    expect(performance.now() - at).toBeLessThan(3000);
    await until(() => !lock.isHeld, 'the news');
  });

  it('are served when a stranger deletes the key of its holder', async () => {
    const holder = await world.client();
    const lock = await holder.acquire('key', { leaseTtlS: 30 });
    const client = await world.client();
    const next = client.acquire('key', { acquireTimeoutS: 10 });
    await queued('key', 1);
    const at = performance.now();
    await world.server.command('DEL', 'lock:key');
    const second = await inTime(next, 'the waiter');
    expect(performance.now() - at).toBeLessThan(1500);
    expect(fenceOf(second)).toBeGreaterThan(fenceOf(lock));
  });

  it('work on while scripts are flushed under them', async () => {
    const clients = await Promise.all([world.client(), world.client()]);
    let on = true;
    let turns = 0;
    let inside = 0;
    const loops = clients.flatMap((client) =>
      Array.from({ length: 5 }, async () => {
        while (on) {
          await client.withLock('key', { acquireTimeoutS: 10 }, async () => {
            expect(++inside).toBe(1);
            await pause(0);
            inside--;
          });
          turns++;
        }
      }),
    );
    for (let i = 0; i < 10; i++) {
      const seen = turns;
      await world.server.command('SCRIPT', 'FLUSH', i % 2 ? 'SYNC' : 'ASYNC');
      await until(() => turns > seen + 10, 'the callers to go on');
    }
    on = false;
    await inTime(Promise.all(loops), 'the callers');
    expect(await world.server.command('EXISTS', 'lock:key', '{lock:key}:q')).toBe(0);
  });

  it('get their turn when Redis was killed and is back', async () => {
    const [one, two] = [await world.client(), await world.client()];
    const lock = await one.acquire('key', { leaseTtlS: LEASE_S });
    const next = two.acquire('key', { leaseTtlS: LEASE_S, acquireTimeoutS: 20 });
    await queued('key', 1);
    await world.server.kill();
    await pause(300);
    await world.server.restart();
    const second = await inTime(next, 'the waiter', 12_000);
    expect(fenceOf(second)).toBeGreaterThan(fenceOf(lock));
    await until(() => !lock.isHeld, 'the news');
    expect(await second.release()).toBe(true);
  });
});
