import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { AcquireRequest, Grant } from '../../../../lib/backends/backend.js';
import {
  AcquireTimeoutError,
  AuthError,
  LimitMismatchError,
  LockUnavailableError,
  ShuttingDownError,
} from '../../../../lib/common/errors.js';
import { ClientEvents } from '../../../../lib/locks/events/client-events.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import type { LockHandle } from '../../../../lib/locks/handle/lock-handle.js';
import { FakeClock, FakeEntropy, settlePromises } from '../../../support/fake-clock.js';
import { FakeBackend } from '../support/fake-backend.js';
import { forever, World } from '../support/world.js';

let world: World;

beforeEach(() => void (world = new World()));

describe('a lock that is asked for after the machine has slept (rule 13)', () => {
  /** The answer takes 20 ms, and what it proves began when it was asked for. */
  const slowly = (ask: (req: AcquireRequest) => Grant) => async (req: AcquireRequest) => {
    const grant = ask(req);
    world.clock.stall(20);
    return grant;
  };

  it.each<[string, (client: LockClient<unknown>) => Promise<LockHandle | null>]>([
    ['acquire', (client) => client.acquire('a', { leaseTtlS: 10 })],
    ['acquire of several', (client) => client.acquire(['a', 'b'], { leaseTtlS: 10 })],
    ['tryAcquire', (client) => client.tryAcquire('a', { leaseTtlS: 10 })],
    ['a ticket', (client) => client.enqueue('a', { leaseTtlS: 10 }).wait()],
  ])('is held: the sleep was before it was asked for (%s)', async (_, take) => {
    const { backend, client, clock } = world;
    await client.start();
    backend.onTry = backend.onEnqueue = backend.onTicket = slowly((req) => backend.grantFor(req));
    clock.stall(1000);
    clock.uptimeOffset += 60_000;
    const lock = (await take(client))!;
    expect(lock.isHeld).toBe(true);
    expect(lock.remainingMs).toBeGreaterThan(9000);
  });
});

describe('what is refused', () => {
  it('is about the first key if it is about one that nobody has asked for, and about none if it names none', async () => {
    world.backend.onTry = async () => null;
    world.backend.onEnqueue = async () => Promise.reject(new LimitMismatchError({ key: 'other' }));
    await expect(world.client.acquire(['a', 'b'])).rejects.toMatchObject({ key: 'a' });
    world.backend.onEnqueue = async () => Promise.reject(new AuthError());
    const error = await world.client.acquire('a').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AuthError);
    expect(error).not.toHaveProperty('key');
  });

  it.each<[string, string | string[]]>([
    ['one key', 'b'],
    ['several keys', ['a', 'b']],
  ])('at the deadline says what the backend knows, with the key as the caller wrote it: %s', async (_, keys) => {
    const backend = new FakeBackend(world.clock);
    const client = new LockClient({ backend, namespace: 'app' }, { clock: world.clock, entropy: new FakeEntropy() });
    backend.onTry = async () => null;
    backend.onEnqueue = async (req) => {
      if (req.key !== 'app:b') return backend.grantFor(req);
      throw new AcquireTimeoutError(req.key, { server: 'db' }, 'this process holds "app:c", which has the same id');
    };
    const error = await client.acquire(keys, { acquireTimeoutS: 3 }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      key: 'b',
      message: 'could not acquire "b" in time: this process holds "app:c", which has the same id',
    });
    expect(error).toBeInstanceOf(AcquireTimeoutError);
    expect(Object.keys(error as object)).not.toContain('why');
  });

  it('is a BackendError where it is no error of this package', async () => {
    const own = Object.freeze(new Error('own'));
    world.backend.onEnqueue = async () => Promise.reject(own);
    await expect(world.client.acquire('a')).rejects.toMatchObject({ code: 'BACKEND', cause: own });
    world.backend.onTry = async () => Promise.reject(own);
    await expect(world.client.tryAcquire('a')).rejects.toMatchObject({ code: 'BACKEND', cause: own });
    await expect(world.client.acquire('a', { acquireTimeoutS: 0 })).rejects.toMatchObject({
      code: 'BACKEND',
      cause: own,
    });
  });

  it('shows its key as the caller wrote it, also for one try', async () => {
    world = new World({ namespace: 'n' });
    world.backend.onTry = async ({ key }) => Promise.reject(new LimitMismatchError({ key }));
    await expect(world.client.tryAcquire('a')).rejects.toMatchObject({ key: 'a' });
    world.backend.onTry = async () => null;
    await expect(world.client.acquire(['b', 'a'], { acquireTimeoutS: 0 })).rejects.toMatchObject({ key: 'a' });
  });

  it('is an event only where time ran out', async () => {
    world.backend.onEnqueue = async ({ key }) => Promise.reject(new AcquireTimeoutError(key));
    await expect(world.client.acquire('a', { acquireTimeoutS: 3 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    expect(world.events).toEqual([{ type: 'timeout', keys: ['a'], waitedMs: 3000, at: world.clock.wall() }]);
    world.backend.onEnqueue = async () => Promise.reject(new AuthError());
    await expect(world.client.acquire('a')).rejects.toBeInstanceOf(AuthError);
    expect(world.events).toHaveLength(1);
  });

  it('names what the backend has not', async () => {
    const { backend, client } = world;
    backend.capabilities = { ...backend.capabilities, semaphores: false };
    await client.start();
    await expect(client.acquire('a', { limit: 2 })).rejects.toMatchObject({
      message: 'fake does not support semaphores (option limit)',
      key: 'a',
    });
    expect((await client.acquire('a')).isHeld).toBe(true);
    expect(backend.log).toEqual(['start', 'enqueue a']);
  });

  it('is everything once the client has closed', async () => {
    const { client, backend } = world;
    await client.start();
    await client.close();
    for (const asking of [
      client.acquire('a'),
      client.acquire('a', { acquireTimeoutS: 0 }),
      client.tryAcquire('a'),
      client.acquire(['a', 'b']),
      client.tryAcquire(['a', 'b']),
    ]) {
      await expect(asking).rejects.toMatchObject({ code: 'SHUTTING_DOWN', key: 'a' });
    }
    await expect(client.ping()).rejects.toBeInstanceOf(ShuttingDownError);
    expect(backend.log).toEqual(['start', 'close']);
  });
});

describe('a start that does not come', () => {
  it('is waited for by several keys and by tries too, and then the backend says what it can do', async () => {
    world.backend.onStart = async () => Promise.reject(new LockUnavailableError('away'));
    expect((await world.client.acquire(['a', 'b'])).isHeld).toBe(true);
    expect((await world.client.tryAcquire('c'))!.isHeld).toBe(true);
    // What it has and has not is not known yet.
    expect((await world.client.acquire('d', { limit: 2 })).isHeld).toBe(true);
    expect((await world.client.acquire('e', { requireFence: true })).fence).toBe(5n);
    expect(world.backend.log[0]).toBe('start');
  });

  it('that time will not help is the error', async () => {
    world.backend.onStart = async () => Promise.reject(new AuthError());
    await expect(world.client.acquire('a')).rejects.toBeInstanceOf(AuthError);
    await expect(world.client.tryAcquire('a')).rejects.toBeInstanceOf(AuthError);
    expect(world.log).toEqual([]);
  });

  it('can be given up', async () => {
    world.backend.onStart = forever;
    const stop = new AbortController();
    const asking = [
      world.client.acquire('a', { signal: stop.signal }),
      world.client.tryAcquire('a', { signal: stop.signal }),
    ].map((one) => expect(one).rejects.toBe('enough'));
    await settlePromises();
    stop.abort('enough');
    await Promise.all(asking);
    expect(world.log).toEqual([]);
  });
});

describe('a close between a grant and its caller', () => {
  // Who is sent away while waiting is not told the key.
  const both = ['SHUTTING_DOWN', 'SHUTTING_DOWN a', 'taken'];
  const ways: [string, (client: LockClient<unknown>) => Promise<LockHandle | null>, string[]][] = [
    ['acquire', (client) => client.acquire('a'), ['SHUTTING_DOWN', 'taken']],
    ['acquire of several', (client) => client.acquire(['a', 'b']), both],
    ['tryAcquire', (client) => client.tryAcquire('a'), both],
    ['tryAcquire of several', (client) => client.tryAcquire(['a', 'b']), both],
    ['a ticket', (client) => client.enqueue('a').wait(), ['SHUTTING_DOWN a', 'taken']],
  ];

  it.each(ways)('leaves nothing taken, however many microtasks lie between (%s)', async (_, take, expected) => {
    const outcomes = new Set<string>();
    for (let turns = 0; turns < 40; turns++) {
      const { backend, client } = (world = new World());
      await client.start();
      let granted = 0;
      backend.onTry = backend.onEnqueue = backend.onTicket = async (req) => (granted++, backend.grantFor(req));
      const taking = take(client).then(
        () => 'taken',
        (error: { code: string; key?: string }) => `${error.code} ${error.key ?? ''}`.trim(),
      );
      for (let i = 0; i < turns; i++) await Promise.resolve();
      await client.close();
      outcomes.add(await taking);
      await settlePromises();
      const back = backend.log.filter((line) => /^(release|abandon)/.test(line)).map((line) => line.split(' ')[1]);
      expect(back.sort()).toEqual(['1', '2'].slice(0, granted));
    }
    expect([...outcomes].sort()).toEqual(expected);
  });
});

describe('an acquire', () => {
  it('that tries once has what is free', async () => {
    const lock = await world.client.acquire('a', { acquireTimeoutS: 0 });
    expect(lock.isHeld).toBe(true);
    expect(world.backend.log).toEqual(['start', 'try lock a 1']);
    expect(world.types).toEqual(['acquired']);
  });

  it.each(['a', ['a', 'b']])('tells once that it waits, however often it is told: %p', async (key) => {
    const { backend, client } = world;
    await client.start();
    const { enqueue } = backend;
    backend.onTry = async () => null;
    backend.enqueue = (req, mode, waiter) => {
      waiter.onPlaced('queued');
      waiter.onPlaced('queued');
      return enqueue.call(backend, req, mode, waiter);
    };
    await client.acquire(key);
    expect(world.types).toEqual(['queued', 'acquired']);
  });
});

describe('a part', () => {
  it('needs a fence for its own keys only', async () => {
    const { backend, client } = world;
    backend.onTry = async (req) => {
      const grant = backend.grantFor(req);
      return req.key === 'b' ? { ...grant, fence: undefined } : grant;
    };
    await client.withLock(['a', 'b'], async (whole) => {
      await using part = await client.acquire('a', { onNested: whole, requireFence: true });
      expect(part.fence).toBe(1n);
      await expect(client.acquire('b', { onNested: whole, requireFence: true })).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        key: 'b',
      });
    });
  });
});

describe('events that nobody hears', () => {
  it('are not made', async () => {
    const clock = new FakeClock({ now: 1000 });
    const backend = new FakeBackend(clock);
    const client = new LockClient({ backend }, { clock, entropy: new FakeEntropy() });
    const made: string[] = [];
    const emit = jest.spyOn(ClientEvents.prototype, 'emit').mockImplementation(({ type }) => void made.push(type));
    await client.start();
    backend.placed = Promise.resolve('queued');
    const use = async (): Promise<void> => {
      backend.onTry = backend.onEnqueue = async (req) => (await settlePromises(), backend.grantFor(req));
      const lock = await client.acquire('a');
      await lock.renew();
      await lock.release();
      backend.onTry = async () => null;
      await expect(client.acquire('a', { acquireTimeoutS: 0 })).rejects.toBeInstanceOf(AcquireTimeoutError);
      await (await client.acquire(['b', 'c'])).release();
    };
    await use();
    expect(made).toEqual([]);
    client.events$.subscribe();
    await use();
    expect(made).toEqual(['queued', 'acquired', 'renewed', 'released', 'timeout', 'queued', 'acquired', 'released']);
    emit.mockRestore();
  });
});
