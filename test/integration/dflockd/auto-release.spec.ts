import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LockLostEvent } from '../../../lib/locks/events/events.js';
import type { LockClient } from '../../../lib/locks/lock-client.js';
import { Proxy } from '../../support/proxy.js';
import { inTime, until } from '../../support/until.js';
import { World } from './support/world.js';

let world: World;
let port: number;
let proxy: Proxy;
let client: LockClient;
let other: LockClient;
let lost: LockLostEvent[];

const remote = { autoRelease: false, readTimeoutS: 2, reconnect: { minDelayMs: 1, maxDelayMs: 20 } };

beforeEach(async () => {
  world = await World.open();
  ({ port } = (await world.server({ autoReleaseOnDisconnect: false })).address()!);
  proxy = await Proxy.to(port);
  world.later(() => proxy.close());
  client = await world.client([proxy.address], remote);
  other = await world.client([`127.0.0.1:${port}`], remote);
  lost = [];
  client.lockLost$.subscribe((event) => lost.push(event));
});

afterEach(() => world.close());

const entry = async (key: string) => (await other.stats())[0]!.locks.find((lock) => lock.key === key);

describe('a daemon that frees nothing when a connection ends', () => {
  it('says so in its capabilities', () => {
    expect(client.capabilities.ownership).toBe('lease');
  });

  it('leaves locks to their leases: a reset loses none, and renewals go on over another connection', async () => {
    const busy = await other.acquire('waited');
    const waiting = client.acquire('waited', { leaseTtlS: 3 });
    await until(async () => (await entry('waited'))?.waiters === 1, 'the waiter');
    await busy.release();
    const all = [await client.acquire('tried', { leaseTtlS: 3 }), await inTime(waiting, 'the lock')];
    for (let i = 0; i < 3; i++) {
      proxy.reset();
      expect(all.map((lock) => lock.isHeld)).toEqual([true, true]);
      await new Promise((resolve) => setTimeout(resolve, 1100));
    }
    expect(lost).toEqual([]);
    expect(all.map((lock) => lock.isHeld)).toEqual([true, true]);
    expect(await other.tryAcquire(['tried'])).toBeNull();
    proxy.reset();
    expect(await Promise.all(all.map((lock) => lock.release()))).toEqual([true, true]);
    await until(async () => (await other.stats())[0]!.locks.length === 0, 'both to be free');
  });

  it('gets back what callers that gave up were granted', async () => {
    const held = await other.acquire('key');
    const stop = new AbortController();
    const waiting = [1, 2].map(() => client.acquire('key', { signal: stop.signal, leaseTtlS: 60 }));
    const ended = Promise.allSettled(waiting);
    await until(async () => (await entry('key'))?.waiters === 2, 'two waiters');
    stop.abort(new Error('enough'));
    await ended;
    await held.release();
    // Each of the two is granted, and gives it back at once.
    const next = await inTime(other.acquire('key', { acquireTimeoutS: 5 }), 'the lock');
    await next.release();
    await until(async () => (await other.stats())[0]!.locks.length === 0, 'nobody to be left');
  });

  it('keeps what a process that died held until its lease ends', async () => {
    const lock = await client.acquire('key', { leaseTtlS: 1 });
    proxy.blackHole();
    expect(lock.isHeld).toBe(true);
    expect(await other.tryAcquire('key')).toBeNull();
    const taken = other.acquire('key', { acquireTimeoutS: 10 }).then(() => lock.isHeld);
    await until(() => lost.length > 0, 'the loss');
    expect(lost[0]!.reason).toBe('expired');
    expect(await inTime(taken, 'the rival')).toBe(false);
    proxy.reset();
  });

  it('is left by close() without a holder', async () => {
    await client.acquire('key', { leaseTtlS: 60 });
    await client.close();
    await until(async () => (await other.stats())[0]!.locks.length === 0, 'the lock to be free');
  });
});
