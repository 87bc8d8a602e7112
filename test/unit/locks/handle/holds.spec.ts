import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  LockLostError,
  LockUnavailableError,
  ServerDrainingError,
  UnsupportedError,
} from '../../../../lib/common/errors.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';
import { FakeBackend, FakeOwner } from '../support/fake-backend.js';
import { forever, World } from '../support/world.js';

let world: World;

beforeEach(() => void (world = new World()));

describe('a minimum hold', () => {
  it('is of no concern to a body that takes longer', async () => {
    await world.client.withLock('a', { minHoldS: 1 }, () => world.clock.stall(1000));
    expect(world.log).toEqual(['enqueue a', 'release 1']);
  });

  it('is kept for all keys of a set', async () => {
    await world.client.withLock(['a', 'b'], { minHoldS: 30 }, () => world.clock.stall(1000));
    expect(world.log.slice(2)).toEqual(['keep 2 29000', 'keep 1 29000']);
  });

  it('is kept for a body that throws, whose error it is', async () => {
    const failing = world.client.withLock('a', { minHoldS: 30 }, () => {
      throw new Error('own');
    });
    await expect(failing).rejects.toThrow('own');
    expect(world.log.at(-1)).toBe('keep 1 30000');
  });

  it('that cannot be kept takes nothing from the result', async () => {
    world.backend.onRelease = async () => 'gone';
    expect(await world.client.withLock('a', { minHoldS: 30 }, () => 5)).toBe(5);
    expect(world.losses).toEqual([expect.objectContaining({ reason: 'rejected' })]);
    world.backend.onRelease = async () => Promise.reject(new LockUnavailableError('away'));
    expect(await world.client.withLock('b', { minHoldS: 30 }, () => 5)).toBe(5);
    expect(world.losses).toHaveLength(1);
  });

  it('that is lost while the body runs is a loss as any other', async () => {
    const running = world.client.withLock('a', { minHoldS: 30 }, () => {
      world.backend.owner.cut();
      return 5;
    });
    await expect(running).rejects.toMatchObject({ reason: 'disconnected', settled: { value: 5 } });
    expect(world.log).toEqual(['enqueue a', 'abandon 1']);
  });

  it('goes on behind: its connection may go without a word, and shutdown does not wait', async () => {
    await world.client.withLock('a', { minHoldS: 3600 }, () => undefined);
    world.backend.owner.cut();
    expect(world.losses).toEqual([]);
    await world.client.close();
    expect(world.log).toEqual(['enqueue a', 'keep 1 3600000', 'close']);
  });
});

describe('a body that throws', () => {
  it('keeps its error when the release fails', async () => {
    world.backend.onRelease = async () => Promise.reject(new LockUnavailableError('away'));
    const failing = world.client.withLock('a', () => Promise.reject(new Error('own')));
    await expect(failing).rejects.toThrow('own');
    expect(world.losses).toEqual([]);
  });

  it('keeps its error when the lock is lost; the loss is an event', async () => {
    const failing = world.client.withLock('a', () => {
      world.backend.owner.cut();
      throw new Error('own');
    });
    await expect(failing).rejects.toThrow('own');
    expect(world.losses).toEqual([expect.objectContaining({ reason: 'disconnected' })]);
  });
});

describe('autoRenew: false', () => {
  it('leaves renewing to the caller', async () => {
    const lock = await world.client.acquire('a', { autoRenew: false, leaseTtlS: 10 });
    await world.clock.advanceAsync(9000);
    await lock.renew();
    await world.clock.advanceAsync(9000);
    expect(lock.isHeld).toBe(true);
    await world.clock.advanceAsync(800);
    expect(world.log).toEqual(['enqueue a', 'renew 1 10000', 'abandon 1']);
    expect(world.losses).toEqual([expect.objectContaining({ reason: 'expired' })]);
  });

  it('is so for what one try gives', async () => {
    const lock = await world.client.tryAcquire('a', { autoRenew: false, leaseTtlS: 10 });
    await world.clock.advanceAsync(9800);
    expect(lock!.isHeld).toBe(false);
    expect(world.log).toEqual(['try lock a 1', 'abandon 1']);
  });
});

describe('requireFence', () => {
  it('takes no lock without one', async () => {
    const { backend, client } = world;
    expect((await client.acquire('a', { requireFence: true })).fence).toBe(1n);
    backend.onTry = backend.onEnqueue = async (req) => ({ ...backend.grantFor(req), fence: undefined });
    await expect(client.acquire('a', { requireFence: true })).rejects.toBeInstanceOf(UnsupportedError);
    await expect(client.tryAcquire('a', { requireFence: true })).rejects.toBeInstanceOf(UnsupportedError);
    expect(world.log).toEqual(['enqueue a', 'enqueue a', 'release 2', 'try lock a 1', 'release 3']);
    expect(world.types).toEqual(['acquired']);
  });

  it('asks for none where there is none to be had', async () => {
    world.backend.capabilities = { ...world.backend.capabilities, fence: 'none' };
    await expect(world.client.acquire('a', { requireFence: true })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      key: 'a',
      message: 'fake does not support fences (option requireFence)',
    });
    expect(world.log).toEqual([]);
  });
});

describe('a server that drains (rule 9)', () => {
  const drain = (server = 'fake') => world.backend.link({ server, state: 'draining' });

  it('asks holders to stop; work that they finish before the end has succeeded', async () => {
    const result = await world.client.withLock('a', { leaseTtlS: 10 }, async (lock) => {
      const { signal } = lock;
      drain();
      expect(signal.reason).toBeInstanceOf(ServerDrainingError);
      expect(signal.reason).toMatchObject({ server: 'fake' });
      await world.clock.advanceAsync(9000);
      expect(lock.isHeld).toBe(true);
      await expect(lock.renew()).rejects.toBeInstanceOf(ServerDrainingError);
      return 'done';
    });
    expect(result).toBe('done');
    expect(world.log).toEqual(['enqueue a', 'release 1']);
    expect(world.losses).toEqual([]);
    expect(world.types).toEqual(['acquired', 'degraded', 'released']);
  });

  it('leaves the locks of others alone', async () => {
    world.backend.servers.set('b', 'other');
    const [a, b] = [await world.client.acquire('a'), await world.client.acquire('b')];
    const set = await world.client.acquire(['b', 'c']);
    drain('other');
    expect([a, b, set].map((lock) => lock.signal.aborted)).toEqual([false, true, true]);
    expect([a, b, set].map((lock) => lock.isHeld)).toEqual([true, true, true]);
    await world.clock.advanceAsync(20_000);
    const renewed = world.log.filter((line) => line.startsWith('renew')).map((line) => line.split(' ')[1]);
    expect(renewed.sort()).toEqual(['1', '4']);
  });

  it('is the reason that a holder is given who looks when the client is closing too', async () => {
    const lock = await world.client.acquire('a');
    world.backend.onRelease = forever;
    const scope = await world.client.enter('b');
    drain();
    const closing = world.client.close();
    expect(lock.signal.reason).toBeInstanceOf(ServerDrainingError);
    void scope.leave();
    await world.clock.advanceAsync(20_000);
    await closing;
  });

  it('is of no concern to a lock that is being released because of it', async () => {
    const [a, b] = [await world.client.acquire('a'), await world.client.acquire('b')];
    world.backend.onRelease = forever;
    const { signal } = b;
    a.signal.addEventListener('abort', () => void b.release());
    drain();
    expect([a.signal.aborted, signal.aborted]).toEqual([true, false]);
  });

  it('costs the lock when its connection ends before the work does', async () => {
    const running = world.client.withLock('a', async () => {
      drain();
      world.backend.owner.cut();
      return 5;
    });
    await expect(running).rejects.toMatchObject({ reason: 'draining', settled: { value: 5 } });
  });

  it('makes a set that is being taken begin again', async () => {
    world.backend.owners.set('a', new FakeOwner());
    world.backend.onTry = async () => null;
    world.backend.onEnqueue = async (req) => (req.key === 'b' ? forever() : world.backend.grantFor(req));
    const stop = new AbortController();
    const waiting = expect(world.client.acquire(['a', 'b'], { signal: stop.signal })).rejects.toBe('enough');
    await settlePromises();
    drain();
    await settlePromises();
    expect(world.log.slice(2)).toEqual(['enqueue a', 'enqueue b', 'cancel b', 'release 1', 'enqueue a', 'enqueue b']);
    stop.abort('enough');
    await waiting;
  });
});

describe('a server that is not at its best', () => {
  it('is told of', async () => {
    world.backend.link({ server: 's', state: 'degraded', detail: 'polling for 3 keys' });
    expect(world.events).toEqual([
      { type: 'degraded', server: 's', at: world.clock.wall(), detail: 'polling for 3 keys' },
    ]);
  });
});

describe('the notices', () => {
  it('are the rare events, and make no others', async () => {
    const { client, backend } = (world = new World());
    const got: string[] = [];
    client.notices$.subscribe((notice) => got.push(notice.type));
    const lock = await client.acquire('a');
    await lock.renew();
    await lock.release();
    await client.acquire('b');
    backend.owner.cut();
    client.noteSkipped(['b', 'a']);
    backend.link({ server: 's', state: 'up' });
    backend.link({ server: 's', state: 'draining' });
    backend.link({ server: 's', state: 'down' });
    expect(got).toEqual(['lost', 'skipped', 'connected', 'degraded', 'disconnected']);
    expect(world.events.find(({ type }) => type === 'skipped')).toMatchObject({ keys: ['a', 'b'] });
    expect(world.types).toEqual(['acquired', 'renewed', 'released', 'acquired', ...got]);
  });

  it('let no event be made for each lock', async () => {
    const clock = new FakeClock({ now: 1000 });
    const client = new LockClient({ backend: ({ clock }) => new FakeBackend(clock) }, { clock });
    client.notices$.subscribe();
    // Every event says when it was made.
    let made = 0;
    const lock = await client.acquire('a');
    clock.wall = () => ++made;
    expect(await lock.release()).toBe(true);
    expect(made).toBe(0);
    client.events$.subscribe();
    const other = await client.acquire('a');
    made = 0;
    await other.release();
    expect(made).toBe(1);
  });

  it('complete when the client closes', async () => {
    let completed = 0;
    world.client.notices$.subscribe({ complete: () => completed++ });
    await world.client.close();
    expect(completed).toBe(1);
  });
});

describe('a renewal by the holder', () => {
  it('that finds no server fails, and the lock is still held', async () => {
    const lock = await world.client.acquire(['a', 'b']);
    const error = new LockUnavailableError('away');
    world.backend.onRenew = async ({ token }, leaseMs) => {
      if (token === '2') throw error;
      return { validFrom: world.clock.now(), leaseMs };
    };
    await expect(lock.renew()).rejects.toBe(error);
    expect(lock.isHeld).toBe(true);
    expect(world.losses).toEqual([]);
  });

  it('that finds the lock gone fails with the very loss that the signal tells', async () => {
    const lock = await world.client.acquire('a');
    const { signal } = lock;
    world.backend.onRenew = async () => Promise.reject(new LockLostError('wire', 'rejected', { server: 'fake' }));
    const renewing = lock.renew().catch((error: unknown) => error);
    expect(await renewing).toBe(signal.reason);
    expect(signal.reason).toMatchObject({
      key: 'a',
      reason: 'rejected',
      server: 'fake',
      cause: expect.objectContaining({ key: 'wire' }),
    });
  });

  it('that comes when it is being released has nothing left to renew', async () => {
    const lock = await world.client.acquire(['a', 'b']);
    world.backend.onRelease = forever;
    void lock.release();
    await expect(lock.renew()).rejects.toMatchObject({ key: 'a', reason: 'expired', server: 'fake' });
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ key: 'a', reason: 'expired', server: 'fake' }));
    expect(world.log.filter((line) => line.startsWith('renew'))).toEqual([]);
  });

  it('tells of each key of a set that was renewed', async () => {
    const lock = await world.client.acquire(['a', 'b'], { leaseTtlS: 10 });
    await lock.renew(20);
    const renewed = { type: 'renewed', keys: ['a', 'b'], leaseMs: 20_000, at: world.clock.wall() };
    expect(world.events.slice(1)).toEqual([renewed, renewed]);
  });
});

describe('the events of a lock', () => {
  it('say what there is to say, and nothing else', async () => {
    const { client, backend, clock } = world;
    const lock = await client.acquire('a');
    clock.stall(70);
    await lock.release();
    const at = clock.wall();
    expect(world.events.map((event) => ({ ...event }))).toStrictEqual([
      {
        type: 'acquired',
        keys: ['a'],
        grants: [expect.objectContaining({ key: 'a', token: '1', server: 'fake', fence: 1n })],
        waitedMs: 0,
        at: at - 70,
      },
      { type: 'released', keys: ['a'], heldMs: 70, at },
    ]);
    await client.acquire('b');
    clock.stall(5);
    backend.owner.cut();
    expect(world.losses.map((event) => ({ ...event }))).toStrictEqual([
      {
        type: 'lost',
        keys: ['b'],
        grants: [expect.objectContaining({ key: 'b', token: '2', server: 'fake', fence: 2n })],
        reason: 'disconnected',
        heldMs: 5,
        server: 'fake',
        at: clock.wall(),
        error: expect.objectContaining({ key: 'b', cause: expect.objectContaining({ message: 'cut' }) }),
      },
    ]);
  });
});

describe('a loss', () => {
  it('during its release waits for nothing', async () => {
    const lock = await world.client.acquire('a');
    world.backend.onRelease = async () => {
      world.backend.owner.cut();
      return 'released';
    };
    expect(await lock.release()).toBe(true);
    expect(world.losses).toEqual([]);
  });

  it('that comes while the release waits for a part is what the release finds', async () => {
    await world.client.withLock('a', { onLost: 'ignore' }, async (outer) => {
      const part = await world.client.acquire('a', { onNested: outer });
      const released = outer.release();
      await settlePromises();
      world.backend.owner.cut();
      expect(await released).toBe(false);
      expect(await part.release()).toBe(false);
    });
    expect(world.log).toEqual(['enqueue a', 'abandon 1']);
  });

  it('by the close of the client is a loss for who releases afterwards', async () => {
    const lock = await world.client.acquire('a');
    await world.client.close();
    expect(await lock.release()).toBe(false);
    expect(world.log).toEqual(['enqueue a', 'release 1', 'close']);
  });

  it('has each handle say why', async () => {
    const lock = await world.client.acquire('a', { leaseTtlS: 10 });
    world.backend.onRenew = forever;
    world.clock.stall(20_000);
    expect(() => lock.assertHeld()).toThrow(LockLostError);
  });
});
