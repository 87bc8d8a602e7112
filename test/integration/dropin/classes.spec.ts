import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  AcquireTimeoutError,
  ConfigError,
  AuthError,
  DistributedLock,
  type DistributedLockOptions,
  DistributedSemaphore,
  LockError,
  stats,
} from '../../../lib/entries/client.js';
import { until } from '../../support/until.js';
import { newKey, PLACES, useWorld, type Reach } from './support/world.js';

type Hold = DistributedLock | DistributedSemaphore;

const KINDS: [string, (options: DistributedLockOptions) => Hold][] = [
  ['DistributedLock', (options) => new DistributedLock(options)],
  ['DistributedSemaphore', (options) => new DistributedSemaphore({ limit: 1, ...options })],
];
const CASES = PLACES.flatMap(([place, make]) =>
  KINDS.map(([kind, hold]) => [`${kind}, ${place}`, make, hold] as const),
);

describe.each(CASES)('%s', (_name, place, make) => {
  const world = useWorld();
  let at: Reach;
  let key: string;
  const hold = (options: Partial<DistributedLockOptions> = {}): Hold =>
    world.own(make({ key, servers: at.servers, tls: at.tls, auth: at.auth, ...options }));

  beforeEach(async () => {
    at = await place(world);
    key = newKey();
  });

  const ownerOf = async (name: string): Promise<number | undefined> =>
    (await stats(at)).locks.find((lock) => lock.key === name)?.owner_conn_id;

  it('acquires, releases, and acquires again', async () => {
    const lock = hold({ leaseTtlS: 20 });
    expect([lock.token, lock.lease]).toEqual([null, 0]);
    expect(await lock.acquire()).toBe(true);
    expect([lock.token, lock.lease]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), 20]);
    expect(await hold({ acquireTimeoutS: 0 }).acquire()).toBe(false);
    await lock.release();
    expect([lock.token, lock.lease]).toEqual([null, 0]);
    const other = hold({ acquireTimeoutS: 0 });
    expect(await other.acquire()).toBe(true);
    expect(other.lease).toBe(33);
    await other.release();
    expect(await lock.acquire()).toBe(true);
  });

  it('waits for its turn', async () => {
    const [first, second] = [hold(), hold()];
    await first.acquire();
    const waiting = second.acquire();
    expect(await Promise.race([waiting, pause(30)])).toBeUndefined();
    await first.release();
    expect(await waiting).toBe(true);
  });

  it('has one connection for each hold, closed with it', async () => {
    const { connections } = await stats(at);
    const held = [hold(), hold({ key: newKey() }), hold({ key: newKey() })];
    for (const lock of held) await lock.acquire();
    expect((await stats(at)).connections).toBe(connections + 3);
    const owners = await Promise.all(held.map((lock) => ownerOf(lock.key)));
    expect(new Set(owners).size).toBe(3);
    await held[0]!.release();
    held[1]!.close();
    await until(async () => (await stats(at)).connections === connections + 1, 'the ends');
    await until(async () => (await ownerOf(held[1]!.key)) === undefined, 'the second to be free');
    expect(await ownerOf(held[2]!.key)).toBe(owners[2]);
  });

  it('is refused while connected, unless forced', async () => {
    const lock = hold();
    await lock.acquire();
    const { token } = lock;
    await expect(lock.acquire()).rejects.toBeInstanceOf(LockError);
    await expect(lock.enqueue()).rejects.toBeInstanceOf(LockError);
    expect(lock.token).toBe(token);
    expect(await lock.acquire({ force: true })).toBe(true);
    expect(lock.token).not.toBe(token);
    expect(await lock.enqueue({ force: true })).toMatch(/acquired|queued/);
  });

  it('stands in line', async () => {
    const [first, second] = [hold(), hold()];
    expect(await first.enqueue()).toBe('acquired');
    expect(first.token).toMatch(/^[0-9a-f]{32}$/);
    expect(await first.wait()).toBe(true);
    expect(await second.enqueue()).toBe('queued');
    expect([second.token, second.lease]).toEqual([null, 0]);
    const waiting = second.wait(5);
    await first.release();
    expect(await waiting).toBe(true);
    expect(second.token).toMatch(/^[0-9a-f]{32}$/);
    expect(await second.wait(0)).toBe(true);
  });

  it('gives up its place at a timeout, and closes', async () => {
    const [first, second] = [hold(), hold({ acquireTimeoutS: 0 })];
    await first.acquire();
    expect(await second.enqueue()).toBe('queued');
    expect(await second.wait()).toBe(false);
    await expect(second.wait()).rejects.toBeInstanceOf(LockError);
    expect(await second.enqueue()).toBe('queued');
  });

  it('wait needs a place', async () => {
    const lock = hold();
    await expect(lock.wait()).rejects.toBeInstanceOf(LockError);
    await lock.acquire();
    await expect(lock.wait()).rejects.toBeInstanceOf(LockError);
    lock.close();
    await expect(lock.wait()).rejects.toBeInstanceOf(LockError);
    await lock.enqueue();
    lock.close();
    await expect(lock.wait()).rejects.toBeInstanceOf(LockError);
    for (const bad of [-1, 0.5, NaN]) await expect(lock.wait(bad)).rejects.toBeInstanceOf(LockError);
  });

  it('release: never connected, twice, after close', async () => {
    await hold().release();
    const lock = hold();
    await lock.acquire();
    await lock.release();
    await expect(lock.release()).rejects.toBeInstanceOf(LockError);
    await lock.acquire();
    const releasing = lock.release();
    await expect(lock.release()).rejects.toBeInstanceOf(LockError);
    await releasing;
    await lock.acquire();
    lock.close();
    lock.close();
    expect([lock.token, lock.lease]).toEqual([null, 0]);
    await expect(lock.release()).rejects.toBeInstanceOf(LockError);
  });

  it('release gives up a place', async () => {
    const [first, second] = [hold(), hold()];
    await first.acquire();
    await second.enqueue();
    await second.release();
    await until(async () => (await stats(at)).locks.find((lock) => lock.key === key)?.waiters === 0, 'no waiter');
  });

  it('close ends an acquire that waits, and its place', async () => {
    const [first, second] = [hold(), hold()];
    await first.acquire();
    const waiting = second.acquire().catch((error: unknown) => error);
    await until(async () => (await stats(at)).locks.find((lock) => lock.key === key)?.waiters === 1, 'the waiter');
    second.close();
    expect(await waiting).toBeInstanceOf(LockError);
    await first.release();
    expect(await hold({ acquireTimeoutS: 5 }).acquire()).toBe(true);
    expect(second.token).toBeNull();
  });

  it('close ends an acquire that connects', async () => {
    const lock = hold();
    const acquiring = lock.acquire().catch((error: unknown) => error);
    lock.close();
    expect(await acquiring).toBeInstanceOf(LockError);
    await until(async () => (await ownerOf(key)) === undefined, 'no owner');
    expect(await lock.acquire()).toBe(true);
  });

  it('force ends an acquire that waits', async () => {
    const [first, second] = [hold(), hold({ acquireTimeoutS: 5 })];
    await first.acquire();
    const waiting = second.acquire().catch((error: unknown) => error);
    await pause(20);
    const again = second.acquire({ force: true });
    expect(await waiting).toBeInstanceOf(LockError);
    await first.release();
    expect(await again).toBe(true);
    expect(second.token).not.toBeNull();
  });

  it('withLock', async () => {
    const lock = hold({ acquireTimeoutS: 0 });
    const rival = hold({ acquireTimeoutS: 0 });
    expect(
      await lock.withLock(async () => {
        expect(lock.token).not.toBeNull();
        expect(await rival.acquire()).toBe(false);
        return 5;
      }),
    ).toBe(5);
    expect(await rival.acquire()).toBe(true);
    await expect(lock.withLock(() => 1)).rejects.toBeInstanceOf(AcquireTimeoutError);
    await rival.release();
    await expect(lock.withLock(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    expect(await lock.withLock(() => 'sync')).toBe('sync');
    const stream = new Readable({ read() {} });
    await expect(lock.withLock(() => stream)).rejects.toBeInstanceOf(ConfigError);
    expect([stream.destroyed, lock.token]).toEqual([true, null]);
    const closes = (): never => {
      lock.close();
      throw new Error('of fn');
    };
    await expect(lock.withLock(closes)).rejects.toThrow('of fn');
    await expect(lock.withLock(() => lock.close())).rejects.toBeInstanceOf(LockError);
  });

  it('thirty at once exclude each other', async () => {
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 30 }, () =>
        hold().withLock(async () => {
          most = Math.max(most, ++inside);
          await pause(1);
          inside--;
        }),
      ),
    );
    expect(most).toBe(1);
  });
});

describe('DistributedSemaphore', () => {
  const world = useWorld();

  it('has as many slots as its limit', async () => {
    const { servers } = await world.daemon();
    const slots = Array.from({ length: 3 }, () =>
      world.own(new DistributedSemaphore({ key: 'k', limit: 2, servers, acquireTimeoutS: 0 })),
    );
    expect(await Promise.all(slots.map((slot) => slot.acquire()))).toEqual([true, true, false]);
    const wrong = world.own(new DistributedSemaphore({ key: 'k', limit: 3, servers }));
    await expect(wrong.acquire()).rejects.toThrow(/sem_acquire.*'error_limit_mismatch'/);
    await slots[0]!.release();
    expect(await slots[2]!.acquire()).toBe(true);
  });
});

describe('stats of a daemon', () => {
  const world = useWorld();

  it('tells what is held, waited for, and idle', async () => {
    const { servers, host, port } = await world.daemon();
    const lock = world.own(new DistributedLock({ key: 'held', servers }));
    const slot = world.own(new DistributedSemaphore({ key: 'slots', limit: 3, servers, leaseTtlS: 20 }));
    const waiter = world.own(new DistributedLock({ key: 'held', servers }));
    const idle = [
      new DistributedLock({ key: 'idle-lock', servers }),
      new DistributedSemaphore({ key: 'idle-slots', limit: 2, servers }),
    ];
    await lock.acquire();
    await slot.acquire();
    expect(await waiter.enqueue()).toBe('queued');
    for (const hold of idle) await hold.withLock(() => undefined);
    await until(async () => (await stats({ host, port })).connections === 4, 'the ends of the idle');
    expect(await stats({ host, port })).toMatchObject({
      connections: 4,
      locks: [{ key: 'held', owner_conn_id: expect.any(Number), lease_expires_in_s: expect.any(Number), waiters: 1 }],
      semaphores: [{ key: 'slots', limit: 3, holders: 1, waiters: 0 }],
      idle_locks: [{ key: 'idle-lock', idle_s: expect.any(Number) }],
      idle_semaphores: [{ key: 'idle-slots', idle_s: expect.any(Number) }],
    });
  });
});

describe('auth and TLS of the classes', () => {
  const world = useWorld();

  it('a wrong token is an AuthError, for stats too', async () => {
    const { servers, host, port } = await world.daemon({ authToken: 'right' });
    const lock = world.own(new DistributedLock({ key: 'k', servers, auth: 'wrong' }));
    const error = (await lock.acquire().catch((reason: unknown) => reason)) as Error;
    expect(error).toBeInstanceOf(AuthError);
    expect([error.name, error.message]).toEqual(['AuthError', 'authentication failed']);
    await expect(stats({ host, port, auth: 'wrong' })).rejects.toBeInstanceOf(AuthError);
    const without = world.own(new DistributedLock({ key: 'k', servers, auth: '' }));
    await expect(without.acquire()).rejects.toThrow(/acquire.*'error_auth'/);
  });

  it('a server that takes no token refuses in other words', async () => {
    const { servers } = await world.daemon();
    const lock = world.own(new DistributedLock({ key: 'k', servers, auth: 'x' }));
    const error = await lock.acquire().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LockError);
    expect(error).not.toBeInstanceOf(AuthError);
    expect((error as Error).message).toContain("'error'");
  });

  it('an unknown authority is the error of TLS', async () => {
    const { servers, auth } = await world.secured();
    const lock = world.own(new DistributedLock({ key: 'k', servers, auth, tls: {} }));
    await expect(lock.acquire()).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  });
});
