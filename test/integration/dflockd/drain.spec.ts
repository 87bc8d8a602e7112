import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ServerDrainingError } from '../../../lib/common/errors.js';
import type { DflockdServer } from '../../../lib/daemon/server.js';
import type { LockLostEvent } from '../../../lib/locks/events/events.js';
import type { LockClient } from '../../../lib/locks/lock-client.js';
import { DFLOCKD_1_10 } from '../../support/older-behaviour.js';
import { OlderDaemon } from '../../support/older-daemon.js';
import { inTime, until } from '../../support/until.js';
import { World } from './support/world.js';

let world: World;
let daemon: DflockdServer;
let client: LockClient;
let lost: LockLostEvent[];

beforeEach(async () => {
  world = await World.open();
  daemon = await world.server({ shutdownTimeout: 10 });
  // Lanes speak every 400 ms, and so does whoever looks whether the server drains.
  client = await world.client([`127.0.0.1:${daemon.address()!.port}`], { readTimeoutS: 1.2 });
  lost = [];
  client.lockLost$.subscribe((event) => lost.push(event));
});

afterEach(() => world.close());

describe('a server that shuts down', () => {
  it('asks holders to stop, and their locks stay until they have', async () => {
    const lock = await client.acquire('key');
    const { signal } = lock;
    const closing = daemon.close();
    await until(() => signal.aborted, 'the signal');
    expect(signal.reason).toBeInstanceOf(ServerDrainingError);
    expect(lock.isHeld).toBe(true);
    expect(lost).toEqual([]);
    expect(daemon.connections).toBeGreaterThan(0);
    expect(await lock.release()).toBe(true);
    expect(lost).toEqual([]);
    await inTime(closing, 'the end of the daemon');
  });

  it('lets work that settles in time succeed', async () => {
    const result = await client.withLock('key', async ({ signal }) => {
      void daemon.close();
      await until(() => signal.aborted, 'the signal');
      return 'done';
    });
    expect(result).toBe('done');
    expect(lost).toEqual([]);
  });

  it('loses a lock in the end, not early: when the connection ends', async () => {
    const lock = await client.acquire('key', { leaseTtlS: 60 });
    const { signal } = lock;
    void daemon.close();
    await until(() => signal.aborted, 'the signal');
    const asked = performance.now();
    await until(() => lost.length > 0, 'the loss');
    // Nobody speaks on the lane any more: it is sure for one read timeout.
    expect(performance.now() - asked).toBeGreaterThan(300);
    expect(lost[0]).toMatchObject({ keys: ['key'] });
    expect(lock.isHeld).toBe(false);
  });

  it('rejects who waits, or lets him go on elsewhere', async () => {
    const held = await client.acquire('key');
    const waiting = client.acquire('key', { acquireTimeoutS: 0.8 });
    waiting.catch(() => undefined);
    await until(async () => (await client.stats())[0]!.locks[0]?.waiters === 1, 'the waiter');
    void daemon.close();
    await expect(inTime(waiting, 'the refusal')).rejects.toMatchObject({
      code: expect.stringMatching(/DRAINING|UNAVAIL/),
    });
    await held.release();
  });

  it('of version 1.10 goes on: holders release as usual', async () => {
    const old = new OlderDaemon({ port: 0, shutdownTimeout: 5 }, DFLOCKD_1_10);
    const { port } = await old.listen();
    world.later(() => old.close());
    const visitor = await world.client([`127.0.0.1:${port}`], { readTimeoutS: 1.2 });
    const lock = await visitor.acquire('key');
    const closing = old.close();
    expect(await lock.renew()).toBeGreaterThan(0);
    expect(await lock.release()).toBe(true);
    await visitor.close();
    await inTime(closing, 'the end of the daemon');
  });
});
