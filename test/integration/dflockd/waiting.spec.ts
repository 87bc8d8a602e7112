import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  AcquireTimeoutError,
  LockUnavailableError,
  MaxLocksError,
  MaxWaitersError,
  ShuttingDownError,
} from '../../../lib/common/errors.js';
import { shardOf } from '../../../lib/protocol/shard.js';
import { freePort } from '../../support/free-port.mjs';
import { stopwatch } from '../../support/stopwatch.js';
import { inTime, until } from '../../support/until.js';
import { World } from './support/world.js';

let world: World;

beforeEach(async () => {
  world = await World.open();
});

afterEach(() => world.close());

describe('fifty callers of two clients on one key', () => {
  it('never overlap, and all have their turn', async () => {
    const clients = [await world.client(), await world.client()];
    let inside = 0;
    let turns = 0;
    const all = Array.from({ length: 50 }, (_, i) =>
      clients[i % 2]!.withLock('key', { acquireTimeoutS: 20 }, async () => {
        expect(++inside).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 2));
        inside--;
        turns++;
      }),
    );
    await inTime(Promise.all(all), 'all turns', 20_000);
    expect(turns).toBe(50);
    await world.empty(clients[0]!);
  });
});

describe('giving up', () => {
  it('at the deadline: to the point, and nothing stays behind', async () => {
    const client = await world.client();
    const lock = await client.acquire('key');
    const took = stopwatch();
    const began = performance.now();
    const all = Array.from({ length: 20 }, () => client.acquire('key', { acquireTimeoutS: 0.25 }));
    for (const outcome of await Promise.allSettled(all)) {
      expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(AcquireTimeoutError);
    }
    expect(took()).toBeLessThan(600);
    expect(performance.now() - began).toBeGreaterThanOrEqual(249);
    await lock.release();
    await world.empty(client);
  });

  it('by AbortSignal: with its reason, and nothing stays behind', async () => {
    const client = await world.client();
    const lock = await client.acquire('key');
    const stop = new AbortController();
    const waiting = [
      client.acquire('key', { signal: stop.signal }),
      client.acquire('key', { signal: stop.signal }),
      client.acquire('free', { signal: stop.signal }).then((free) => free.release()),
    ];
    await until(async () => (await client.stats())[0]!.locks.some((l) => l.waiters === 2), 'two waiters');
    stop.abort('enough');
    const outcomes = await Promise.allSettled(waiting);
    expect(outcomes.map((o) => (o.status === 'rejected' ? o.reason : o.value))).toEqual(['enough', 'enough', true]);
    await lock.release();
    await world.empty(client);
    await expect(client.acquire('other', { signal: stop.signal })).rejects.toBe('enough');
    await expect(client.tryAcquire('other', { signal: stop.signal })).rejects.toBe('enough');
  });

  it('at random moments leaves no holder and no waiter', async () => {
    const client = await world.client();
    const other = await world.client();
    const all = Array.from({ length: 600 }, async (_, i) => {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), Math.random() * 60);
      try {
        const lock = await (i % 3 ? client : other).acquire(`key-${i % 7}`, {
          signal: stop.signal,
          acquireTimeoutS: i % 5 === 0 ? Math.random() * 0.05 : 5,
        });
        await lock.release();
      } catch {
        // Aborted or timed out.
      }
    });
    await inTime(Promise.all(all), 'all to end');
    await world.empty(client);
  });
});

describe('a full server', () => {
  it('max-waiters: a try is null, an acquire polls until its deadline', async () => {
    const { port } = (await world.server({ maxWaiters: 1 })).address()!;
    const [a, b, c] = await Promise.all([1, 2, 3].map(() => world.client([`127.0.0.1:${port}`])));
    const lock = await a!.acquire('key');
    const first = b!.acquire('key');
    await until(async () => (await a!.stats())[0]!.locks[0]?.waiters === 1, 'the first waiter');
    expect(await c!.tryAcquire('key')).toBeNull();
    await expect(c!.acquire('key', { acquireTimeoutS: 0.3 })).rejects.toBeInstanceOf(MaxWaitersError);
    const patient = c!.acquire('key');
    await lock.release();
    await (await first).release();
    expect((await inTime(patient, 'the patient one')).isHeld).toBe(true);
  });

  it('max-locks: tried again within the deadline, then named with its flag', async () => {
    const { port } = (await world.server({ maxLocks: 1, gcInterval: 0.1, gcMaxIdle: 0.2 })).address()!;
    const client = await world.client([`127.0.0.1:${port}`]);
    const lock = await client.acquire('a');
    await expect(client.acquire('b', { acquireTimeoutS: 0.2 })).rejects.toThrow('--max-locks');
    await expect(client.tryAcquire('b')).rejects.toBeInstanceOf(MaxLocksError);
    const patient = client.acquire('b', { acquireTimeoutS: 5 });
    await lock.release();
    expect((await patient).isHeld).toBe(true);
  });
});

describe('shards', () => {
  it('by crc32 of the wire key; renew and release go where the grant came from', async () => {
    const servers = await Promise.all([world.server(), world.server(), world.server()]);
    const addresses = servers.map((server) => `127.0.0.1:${server.address()!.port}`);
    const client = await world.client(addresses, {}, { namespace: 'shop' });
    for (const key of ['a', 'my-key', 'hello', 'x1', 'x2', 'x3']) {
      const lock = await client.acquire(key);
      const shard = shardOf(`shop:${key}`, 3);
      expect(lock.grants[0]!.server).toBe(addresses[shard]);
      expect((await client.stats())[shard]!.locks.map((l) => l.key)).toEqual([`shop:${key}`]);
      expect(await lock.renew(20)).toBeGreaterThan(15_000);
      expect(await lock.release()).toBe(true);
    }
  });

  it('a strategy is asked once for each acquire', async () => {
    const servers = await Promise.all([world.server(), world.server()]);
    const addresses = servers.map((server) => `127.0.0.1:${server.address()!.port}`);
    let next = 0;
    const client = await world.client(addresses, { shardingStrategy: () => next++ % 2 });
    const [a, b] = [await client.acquire('key'), await client.acquire('key')];
    expect([a.grants[0]!.server, b.grants[0]!.server]).toEqual(addresses);
    await a.renew();
    expect(await a.release()).toBe(true);
    expect(await b.release()).toBe(true);
    expect(next).toBe(2);
  });

  it.each([[2], [-1], [0.5], [undefined as unknown as number]])('a strategy that says %p is named', async (shard) => {
    const server = await world.server();
    const servers = [world.address, `127.0.0.1:${server.address()!.port}`];
    const client = await world.client(servers, { shardingStrategy: () => shard });
    await expect(client.acquire('key')).rejects.toThrow(
      `option remote.shardingStrategy: expected an index of 0 to 1, got ${shard}`,
    );
  });
});

describe('no server', () => {
  it('connect: starts with a warning, acquires fail by their deadline, and work once there is one', async () => {
    const port = await freePort();
    const { LockClient } = await import('../../../lib/locks/lock-client.js');
    const warnings: string[] = [];
    const client = await LockClient.connect(
      { servers: [`127.0.0.1:${port}`], shutdownTimeoutS: 0.1 },
      { log: (_, message) => warnings.push(message) },
    );
    world.later(() => client.close());
    expect(warnings).toEqual([expect.stringContaining(`127.0.0.1:${port}`)]);
    expect(() => client.capabilities).toThrow(LockUnavailableError);
    const took = stopwatch();
    await expect(client.acquire('key', { acquireTimeoutS: 0.3 })).rejects.toBeInstanceOf(LockUnavailableError);
    expect(took()).toBeLessThan(900);
    await expect(client.tryAcquire('key')).rejects.toBeInstanceOf(LockUnavailableError);
    const patient = client.acquire('key', { acquireTimeoutS: 10 });
    await world.server({ port });
    expect((await inTime(patient, 'the lock', 10_000)).isHeld).toBe(true);
    await until(() => {
      try {
        return client.capabilities.ownership === 'connection';
      } catch {
        return false;
      }
    }, 'the capabilities');
  });

  it('require: no start', async () => {
    const port = await freePort();
    await expect(world.client([`127.0.0.1:${port}`], {}, { startup: 'require' })).rejects.toThrow(`127.0.0.1:${port}`);
  });

  it('lazy: connects on first use', async () => {
    const client = await world.client(undefined, {}, { startup: 'lazy' });
    expect(() => client.capabilities).toThrow(LockUnavailableError);
    expect((await client.acquire('key')).isHeld).toBe(true);
  });
});

describe('wrong auth', () => {
  it('fails the start at once', async () => {
    const { port } = (await world.server({ authToken: 'right' })).address()!;
    await expect(world.client([`127.0.0.1:${port}`], { auth: 'wrong' })).rejects.toThrow('authentication failed');
    await expect(world.client([`127.0.0.1:${port}`])).rejects.toThrow('requires a token');
    await expect(world.client([`127.0.0.1:${port}`], { auth: 'right' })).resolves.toBeDefined();
  });

  it('a token for a server that has none is named as an option', async () => {
    await expect(world.client(undefined, { auth: 'token' })).rejects.toThrow('option remote.auth');
  });
});

describe('close', () => {
  it('rejects waiters, asks holders to stop, waits for bodies, releases what is left', async () => {
    const client = await world.client(undefined, {}, { shutdownTimeoutS: 5 });
    const other = await world.client();
    const handle = await client.acquire('handle');
    const { signal } = handle;
    const busy = await other.acquire('busy');
    const waiter = client.acquire('busy');
    waiter.catch(() => undefined);
    await until(async () => (await other.stats())[0]!.locks.some((l) => l.waiters === 1), 'the waiter');
    let finish = (): void => undefined;
    const body = client.withLock('body', () => new Promise<string>((resolve) => (finish = () => resolve('done'))));
    await until(async () => (await other.stats())[0]!.locks.some((l) => l.key === 'body'), 'the body');

    let closed = false;
    const closing = client.close().then(() => (closed = true));
    await expect(waiter).rejects.toBeInstanceOf(ShuttingDownError);
    await expect(client.acquire('more')).rejects.toBeInstanceOf(ShuttingDownError);
    await expect(client.tryAcquire('more')).rejects.toBeInstanceOf(ShuttingDownError);
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ reason: 'shutdown' });
    expect(handle.isHeld).toBe(true);
    expect(closed).toBe(false);
    finish();
    expect(await body).toBe('done');
    await closing;
    expect(handle.isHeld).toBe(false);
    await busy.release();
    await world.empty(other);
    await client.close();
  });

  it('cuts off bodies that take longer than shutdownTimeoutS, and tells them', async () => {
    const client = await world.client(undefined, {}, { shutdownTimeoutS: 0.1 });
    let end: unknown;
    const body = client.withLock('body', async (lock) => {
      await until(() => lock.signal.aborted, 'the signal');
      end = lock.signal.reason;
    });
    body.catch(() => undefined);
    await until(async () => (await client.stats())[0]!.locks.length === 1, 'the body to run');
    await client.close();
    await expect(body).rejects.toMatchObject({ code: 'LOCK_LOST', reason: 'shutdown' });
    expect(end).toMatchObject({ reason: 'shutdown' });
  });

  it('completes the streams', async () => {
    const client = await world.client();
    let completed = 0;
    client.events$.subscribe({ complete: () => completed++ });
    client.lockLost$.subscribe({ complete: () => completed++ });
    await client.close();
    client.events$.subscribe({ complete: () => completed++ });
    expect(completed).toBe(3);
  });
});
