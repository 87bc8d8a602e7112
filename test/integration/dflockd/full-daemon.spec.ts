import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { connect, type Socket } from 'node:net';
import { PoolExhaustedError } from '../../../lib/common/errors.js';
import type { LockClient } from '../../../lib/locks/lock-client.js';
import type { RemoteOptions } from '../../../lib/locks/options/options.js';
import { inTime, until } from '../../support/until.js';
import { World } from './support/world.js';

/** Two command lanes, one control lane for each of two clients. */
const SHARED = 6;

let world: World;
let holder: LockClient;
let client: LockClient;
let degraded: string[];

async function make(maxConnections: number, remote: RemoteOptions = {}): Promise<void> {
  world = await World.open({ maxConnections });
  holder = await world.client();
  client = await world.client(undefined, remote);
  degraded = [];
  client.events$.subscribe((event) => event.type === 'degraded' && degraded.push(event.detail));
  // The control lanes are there as well.
  await until(() => world.daemon.connections === SHARED, 'the shared connections');
}

beforeEach(() => make(SHARED));
afterEach(() => world.close());

describe('a daemon whose --max-connections is used up', () => {
  it('serves those who wait as soon as the lock is free, over the connections there are, and that is said', async () => {
    const held = await holder.acquire('k');
    const waiting = [1, 2, 3].map(() => client.acquire('k', { acquireTimeoutS: 20 }));
    await until(() => degraded.length > 0, 'the event');
    expect(degraded).toEqual([expect.stringContaining('--max-connections')]);
    await held.release();
    for (const lock of waiting) await (await inTime(lock, 'the lock')).release();
    expect(degraded).toHaveLength(1);
    expect(world.daemon.connections).toBe(SHARED);
  });

  it('is never said to be busy for a lock that nobody has', async () => {
    let wrong = 0;
    for (let round = 0; round < 20; round++) {
      const held = await holder.acquire('k');
      const stop = new AbortController();
      const waiting = client.acquire('k', { acquireTimeoutS: 20, signal: stop.signal }).catch(() => undefined);
      // Any moment of the line's life.
      await new Promise((resolve) => setTimeout(resolve, round * 5));
      await held.release();
      const tried = await client.tryAcquire('k');
      // Busy is the truth if whoever waited has it.
      if (tried) await tried.release();
      else if (!(await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 20))]))) wrong++;
      await (await inTime(waiting, 'the lock'))?.release();
      stop.abort();
    }
    expect(wrong).toBe(0);
  });

  it('tells who waits in vain that there was no connection, and a ticket at once', async () => {
    const held = await holder.acquire('k');
    const error = await client.acquire('k', { acquireTimeoutS: 0.4 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(PoolExhaustedError);
    expect((error as Error).message).toContain('--max-connections');
    const ticket = await client
      .enqueue('k')
      .wait()
      .catch((e: unknown) => e);
    expect(ticket).toBeInstanceOf(PoolExhaustedError);
    expect((ticket as Error).message).toContain('--max-connections');
    await held.release();
  });

  it('gives places in its queue again once there is room', async () => {
    await world.close();
    await make(SHARED + 2);
    const strangers: Socket[] = [connect(world.port, '127.0.0.1'), connect(world.port, '127.0.0.1')];
    await until(() => world.daemon.connections === SHARED + 2, 'the strangers');
    const held = await holder.acquire('k');
    const waiting = client.acquire('k', { acquireTimeoutS: 20 });
    await until(() => degraded.length > 0, 'the event');
    for (const socket of strangers) socket.destroy();
    await until(async () => (await holder.stats())[0]!.locks[0]?.waiters === 1, 'the place');
    await held.release();
    await (await inTime(waiting, 'the lock')).release();
    expect(degraded).toHaveLength(1);
  });
});

describe('a daemon that closes connections when it is killed', () => {
  it('is not said to be full', async () => {
    const held = await holder.acquire('k');
    await world.close();
    await make(0);
    await holder.acquire('k');
    const waiting = client.acquire('k', { acquireTimeoutS: 1 }).catch((e: unknown) => e);
    await until(async () => (await holder.stats())[0]!.locks[0]?.waiters === 1, 'the place');
    const closed = world.daemon.close();
    await waiting;
    await closed;
    expect(degraded.filter((detail) => detail.includes('--max-connections'))).toEqual([]);
    void held;
  });
});
