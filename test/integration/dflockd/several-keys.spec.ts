import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LockLostError } from '../../../lib/common/errors.js';
import type { LockLostEvent } from '../../../lib/locks/events/events.js';
import { shardOf } from '../../../lib/protocol/shard.js';
import { Proxy } from '../../support/proxy.js';
import { stopwatch } from '../../support/stopwatch.js';
import { inTime, until } from '../../support/until.js';
import { Wire } from '../../support/wire.js';
import { World } from './support/world.js';

let world: World;

beforeEach(async () => {
  world = await World.open();
});

afterEach(() => world.close());

describe('several keys', () => {
  it('are lost together: one that is gone takes the others with it', async () => {
    const client = await world.client();
    const other = await world.client();
    const lost: LockLostEvent[] = [];
    client.lockLost$.subscribe((event) => lost.push(event));
    const lock = await client.acquire(['a', 'b', 'c'], { leaseTtlS: 2 });
    const { signal } = lock;
    // By token, as any connection can.
    const { key, token } = lock.grants[1]!;
    const thief = await Wire.tcp({ host: '127.0.0.1', port: world.port });
    expect(await thief.ask(`r\n${key}\n${token}\n`)).toBe('ok');
    await until(() => signal.aborted, 'the signal');
    expect(signal.reason).toBeInstanceOf(LockLostError);
    expect(lock.isHeld).toBe(false);
    expect(lock.remainingMs).toBe(0);
    expect(lost).toHaveLength(1);
    expect(lost[0]).toMatchObject({ type: 'lost', reason: 'rejected' });
    // What the holder cannot rely on any more is given back.
    const next = await inTime(other.acquire(['a', 'b', 'c'], { acquireTimeoutS: 5 }), 'all of them');
    expect(await next.release()).toBe(true);
    expect(await lock.release()).toBe(false);
    thief.destroy();
  });

  it('that came early are renewed while the last is waited for', async () => {
    const client = await world.client();
    const other = await world.client();
    const held = await other.acquire('z');
    const waiting = client.acquire(['a', 'b', 'z'], { leaseTtlS: 2, acquireTimeoutS: 10 });
    await until(
      async () => (await other.stats())[0]!.locks.some((l) => l.key === 'z' && l.waiters === 1),
      'the waiter',
    );
    const began = performance.now();
    while (performance.now() - began < 2400) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(await other.tryAcquire('a')).toBeNull();
    }
    await held.release();
    const lock = await inTime(waiting, 'all of them');
    expect(lock.isHeld).toBe(true);
    expect(await lock.release()).toBe(true);
    await world.empty(other);
  });

  it('are answered by the deadline when the server answers to none of the tries', async () => {
    const proxy = await Proxy.to(world.port);
    world.later(() => proxy.close());
    const client = await world.client([proxy.address]);
    proxy.hold(['down']);
    const took = stopwatch();
    await expect(client.acquire(['a', 'b'], { acquireTimeoutS: 0.3 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    // The request timeout is 5 s.
    expect(took()).toBeLessThan(1500);
    proxy.pass();
    // What was granted after all is given back.
    await world.empty(await world.client());
  });

  it('on several servers are given back when one of these is gone', async () => {
    const servers = [await world.server(), await world.server()];
    const addresses = servers.map((server) => `127.0.0.1:${server.address()!.port}`);
    const client = await world.client(addresses, { connectTimeoutMs: 100, requestTimeoutMs: 100 });
    const survivor = await world.client([addresses[0]!]);
    const here = ['a', 'b', 'c', 'd'].find((key) => shardOf(key, 2) === 0)!;
    const there = ['a', 'b', 'c', 'd'].find((key) => shardOf(key, 2) === 1)!;
    await (await client.acquire([here, there])).release();
    await servers[1]!.close();
    await expect(client.acquire([here, there], { acquireTimeoutS: 0.5 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    await expect(client.tryAcquire([here, there])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await inTime(world.empty(survivor), 'the other server to be empty');
  });
});
