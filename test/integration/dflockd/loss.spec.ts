import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LockLostError } from '../../../lib/common/errors.js';
import type { LockLostEvent } from '../../../lib/locks/events/events.js';
import type { LockClient } from '../../../lib/locks/lock-client.js';
import { Proxy } from '../../support/proxy.js';
import { stopwatch } from '../../support/stopwatch.js';
import { inTime, until } from '../../support/until.js';
import { World } from './support/world.js';

let world: World;
let proxy: Proxy;

beforeEach(async () => {
  world = await World.open();
  proxy = await Proxy.to(world.port);
  world.later(() => proxy.close());
});

afterEach(() => world.close());

const nextLoss = (client: LockClient): Promise<LockLostEvent> =>
  new Promise((resolve) => client.lockLost$.subscribe(resolve));

describe('a lost connection', () => {
  it.each([
    ['command', 'a reset'],
    ['command', 'FIN'],
    ['wait', 'a reset'],
    ['wait', 'FIN'],
  ] as const)('on a %s lane, by %s: told within 50 ms', async (lane, how) => {
    const client = await world.client([proxy.address]);
    const other = await world.client();
    const rounds: number[] = [];
    for (let i = 0; i < 5; i++) {
      // The daemon has freed it, and the client works on.
      const blocker = lane === 'wait' ? await inTime(other.acquire('key'), 'the lock') : undefined;
      const acquiring = inTime(client.acquire('key'), 'the lock');
      await blocker?.release();
      const lock = await acquiring;
      expect(lock.isHeld).toBe(true);
      const { signal } = lock;
      const lost = nextLoss(client);
      const took = stopwatch();
      if (how === 'FIN') for (const link of proxy.links) link.client.end();
      else proxy.reset();
      const event = await inTime(lost, 'the loss');
      rounds.push(took());
      expect(event).toMatchObject({ type: 'lost', keys: ['key'], reason: 'disconnected' });
      expect(signal.aborted).toBe(true);
      expect(signal.reason).toBeInstanceOf(LockLostError);
      expect(lock.isHeld).toBe(false);
      expect(lock.remainingMs).toBe(0);
      expect(() => lock.assertHeld()).toThrow(LockLostError);
      expect(await lock.release()).toBe(false);
    }
    const median = rounds.sort((a, b) => a - b)[2]!;
    expect(median).toBeLessThan(50);
  });

  it('is told before the daemon frees the lock when nothing is heard any more', async () => {
    const short = await world.server({ readTimeout: 1 });
    const hole = await Proxy.to(short.address()!.port);
    world.later(() => hole.close());
    const client = await world.client([hole.address], { readTimeoutS: 1, requestTimeoutMs: 300 });
    const other = await world.client([`127.0.0.1:${short.address()!.port}`]);
    const lock = await client.acquire('key', { leaseTtlS: 60 });
    const lost = nextLoss(client);
    hole.blackHole();
    const free = other.acquire('key', { acquireTimeoutS: 5 }).then(() => performance.now());
    const told = await inTime(
      lost.then(() => performance.now()),
      'the loss',
    );
    expect(lock.isHeld).toBe(false);
    expect(told).toBeLessThan(await free);
    hole.reset();
  });

  it('outlives a read timeout that is shorter than the lease, because lanes speak', async () => {
    const short = await world.server({ readTimeout: 1.5 });
    const address = `127.0.0.1:${short.address()!.port}`;
    const client = await world.client([address], { readTimeoutS: 1.5 });
    const other = await world.client([address], { readTimeoutS: 1.5 });
    const first = await client.acquire('a', { leaseTtlS: 60 });
    const second = other.acquire('a', { leaseTtlS: 60 });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(first.isHeld).toBe(true);
    await first.release();
    const waited = await inTime(second, 'the waiter');
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(waited.isHeld).toBe(true);
    expect(await waited.release()).toBe(true);
  });

  it('by draining says so', async () => {
    const draining = await world.server({ shutdownTimeout: 5 });
    const client = await world.client([`127.0.0.1:${draining.address()!.port}`], { readTimeoutS: 0.6 });
    await client.acquire('key');
    const lost = nextLoss(client);
    const closing = draining.close();
    expect(await inTime(lost, 'the loss')).toMatchObject({ reason: 'draining' });
    await closing;
  });
});

describe('an answer that comes when the lease it tells of is over', () => {
  /** Grants on their way, until they are worth nothing. */
  async function late<T>(ask: () => Promise<T>): Promise<T> {
    proxy.hold(['down']);
    const asked = ask();
    const settled = asked.catch(() => undefined);
    await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, 1300))]);
    proxy.pass();
    return asked;
  }

  it('is no lock: acquire tries again', async () => {
    const client = await world.client([proxy.address]);
    const lock = await inTime(
      late(() => client.acquire('key', { leaseTtlS: 1 })),
      'the lock',
    );
    expect(lock.isHeld).toBe(true);
    expect(await (await world.client()).tryAcquire('key')).toBeNull();
    expect(await lock.release()).toBe(true);
    await world.empty(client);
  });

  it('is no lock: a body does not begin without one', async () => {
    const client = await world.client([proxy.address]);
    const held = await late(() => client.withLock('key', { leaseTtlS: 1 }, (lock) => lock.isHeld));
    expect(held).toBe(true);
  });

  it('is no lock: tryAcquire says that there was no answer in time', async () => {
    const client = await world.client([proxy.address]);
    await expect(late(() => client.tryAcquire('key', { leaseTtlS: 1 }))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await world.empty(client);
  });
});

describe('a lease', () => {
  it('is renewed for as long as it is held', async () => {
    const client = await world.client();
    let renewals = 0;
    client.events$.subscribe(({ type }) => type === 'renewed' && renewals++);
    const LEASE_S = 2;
    const began = performance.now();
    const lock = await client.acquire('key', { leaseTtlS: LEASE_S });
    const other = await world.client();
    await until(() => performance.now() - began > LEASE_S * 1100, 'the end of the first lease');
    expect(renewals).toBeGreaterThan(0);
    expect(lock.isHeld).toBe(true);
    expect(await other.tryAcquire('key')).toBeNull();
    expect(await lock.release()).toBe(true);
  });

  it('reads as over at the first look after the process has stalled for longer', async () => {
    const client = await world.client();
    const lock = await client.acquire('key', { leaseTtlS: 1 });
    const { signal } = lock;
    const wake = performance.now() + 1100;
    while (performance.now() < wake);
    expect(lock.isHeld).toBe(false);
    expect(() => lock.assertHeld()).toThrow(LockLostError);
    await until(() => signal.aborted, 'the signal');
  });

  it('that somebody else released is noticed at its next renewal', async () => {
    const client = await world.client();
    const lock = await client.acquire('key', { leaseTtlS: 2 });
    const lost = nextLoss(client);
    const thief = await world.client();
    // By token, as any connection can.
    const socket = (await import('node:net')).connect(world.port);
    socket.write(`r\nkey\n${lock.token}\n`);
    expect(await inTime(lost, 'the loss')).toMatchObject({ reason: 'rejected' });
    expect(await thief.tryAcquire('key')).not.toBeNull();
    socket.destroy();
  });
});

describe('withLock', () => {
  it('rejects with the loss and what the body returned', async () => {
    const client = await world.client([proxy.address]);
    const running = client.withLock('key', async (lock) => {
      proxy.reset();
      await until(() => lock.signal.aborted, 'the signal');
      return 'done all the same';
    });
    const error = await running.catch((e: unknown) => e);
    expect(error).toBeInstanceOf(LockLostError);
    expect((error as LockLostError).settled).toEqual({ value: 'done all the same' });
  });

  it("prefers the body's own error, and returns its result if losses are to be ignored", async () => {
    const client = await world.client([proxy.address]);
    const cut = async (lock: { signal: AbortSignal }): Promise<void> => {
      proxy.reset();
      await until(() => lock.signal.aborted, 'the signal');
    };
    await expect(
      client.withLock('key', async (lock) => {
        await cut(lock);
        throw new Error('own');
      }),
    ).rejects.toThrow('own');
    const result = await client.withLock('key', { onLost: 'ignore' }, async (lock) => {
      await cut(lock);
      return 7;
    });
    expect(result).toBe(7);
  });
});
