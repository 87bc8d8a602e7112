import { AsyncResource } from 'node:async_hooks';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { ConfigError, LockLostError, NestedLockError } from '../../../../lib/common/errors.js';
import { currentLock } from '../../../../lib/locks/handle/current-lock.js';
import type { LockHandle } from '../../../../lib/locks/handle/lock-handle.js';
import { settlePromises } from '../../../support/fake-clock.js';
import { World } from '../support/world.js';

let world: World;

beforeEach(() => void (world = new World()));

/** A queue as p-queue and p-limit are: whoever finishes a task runs the next one, in its own async context. */
class SharedQueue {
  private readonly tasks: (() => Promise<void>)[] = [];
  private isBusy = false;

  add<R>(task: () => Promise<R>): Promise<R> {
    return new Promise((resolve, reject) => {
      this.tasks.push(() => task().then(resolve, reject));
      if (!this.isBusy) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.isBusy = true;
    for (let task = this.tasks.shift(); task; task = this.tasks.shift()) await task();
    this.isBusy = false;
  }
}

describe('a task of a shared queue', () => {
  it('does not join the lock of the request in whose context it runs', async () => {
    const queue = new SharedQueue();
    let atWork = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++atWork);
      await settlePromises();
      atWork--;
    };
    const join = { onNested: 'join' } as object;
    const outcomes: unknown[] = [];
    const first = world.client.withLock('a', async () => {
      // Holds the lock while the queue, in its context, runs a task of somebody else.
      const own = queue.add(async () => undefined);
      const other = queue.add(() => world.client.withLock('a', join, work));
      outcomes.push(...(await Promise.allSettled([other, own, work()])));
    });
    await first;
    expect(most).toBe(1);
    expect(outcomes[0]).toMatchObject({ status: 'rejected', reason: { code: 'CONFIG' } });
  });

  it('joins the lock that it names, whoever runs it', async () => {
    const queue = new SharedQueue();
    await world.client.withLock('b', async () => {
      const first = queue.add(settlePromises);
      await world.client.withLock('a', async (lock) => {
        const task = queue.add(() =>
          world.client.withLock('a', { onNested: lock }, async (part) => [part.token, currentLock() === part]),
        );
        expect(await task).toEqual([lock.token, true]);
      });
      await first;
    });
  });

  it('is refused by default although it holds nothing, is told why, and is right once it is bound', async () => {
    let refusal: Error | undefined;
    let bound: Promise<LockHandle> | undefined;
    const outside = AsyncResource.bind(() => world.client.acquire('a'));
    await world.client.withLock('a', async () => {
      refusal = await world.client.acquire('a').then(undefined, (error: Error) => error);
      bound = outside();
      await settlePromises();
    });
    expect(refusal).toBeInstanceOf(NestedLockError);
    expect(refusal!.message).toMatch(/"a".*async context.*shared queue.*AsyncResource\.bind/s);
    expect((await bound!).isHeld).toBe(true);
  });
});

describe('onNested: lock', () => {
  it('joins a lock that the code does not run under: it is named', async () => {
    const lock = await world.client.acquire('a');
    const [joined, tried, body] = [
      await world.client.acquire('a', { onNested: lock }),
      await world.client.tryAcquire('a', { onNested: lock }),
      await world.client.withLock('a', { onNested: lock }, (part) => part.token),
    ];
    expect([joined.token, tried!.token, body]).toEqual(['1', '1', '1']);
    const released = lock.release();
    await settlePromises();
    expect(world.log).toEqual(['enqueue a']);
    await joined.release();
    await tried!.release();
    expect(await released).toBe(true);
    expect(world.log).toEqual(['enqueue a', 'release 1']);
  });

  it('joins through a part while the whole waits for that part to be released', async () => {
    const lock = await world.client.acquire('a');
    const part = await world.client.acquire('a', { onNested: lock });
    const released = lock.release();
    const deeper = await world.client.acquire('a', { onNested: part });
    await part.release();
    expect(deeper.isHeld).toBe(true);
    await deeper.release();
    expect(await released).toBe(true);
  });

  it('joins a slot of a semaphore with the same limit', async () => {
    const slot = await world.client.acquire('a', { limit: 3 });
    await world.client.withLock('a', { limit: 3, onNested: slot }, (part) => expect(part.token).toBe(slot.token));
    expect(world.log).toEqual(['enqueue a']);
  });

  it('asks the server for nothing, also where the lock would not be granted in time', async () => {
    const lock = await world.client.acquire(['b', 'a']);
    const part = await world.client.acquire(['a', 'b'], { onNested: lock, acquireTimeoutS: 0 });
    expect(part.keys).toEqual(['a', 'b']);
    const controller = new AbortController();
    controller.abort(new RangeError('mine'));
    await expect(world.client.acquire('a', { onNested: lock, signal: controller.signal })).rejects.toThrow(RangeError);
  });

  const CALLS: [string, (options: object, key?: string | string[]) => Promise<unknown>][] = [
    ['acquire', (options, key = 'a') => world.client.acquire(key, options)],
    ['tryAcquire', (options, key = 'a') => world.client.tryAcquire(key, options)],
    ['withLock', (options, key = 'a') => world.client.withLock(key, options, () => 'ran')],
    ['enter', (options, key = 'a') => world.client.enter(key, options)],
  ];

  describe.each(CALLS)('in %s', (_name, call) => {
    it("refuses the word 'join' and says what to write", async () => {
      await world.client.withLock('a', async () => {
        const refused = expect(call({ onNested: 'join' })).rejects;
        await refused.toBeInstanceOf(ConfigError);
        await expect(call({ onNested: 'join' })).rejects.toThrow(/option onNested: 'join'.*onNested: lock/);
      });
      expect(world.log).toEqual(['enqueue a', 'release 1']);
    });

    it.each([[7], [null], [{}], [[]], ['skip'], [() => undefined]])('refuses %p', async (onNested) => {
      await expect(call({ onNested })).rejects.toThrow(
        /^option onNested: expected 'throw', 'wait' or the handle of a lock, got /,
      );
      expect(world.log).toEqual([]);
    });

    it('refuses a lock of another client', async () => {
      const lock = await new World().client.acquire('a');
      await expect(call({ onNested: lock })).rejects.toThrow(
        new ConfigError('option onNested: the lock "a" belongs to another client'),
      );
      expect(world.log).toEqual([]);
    });

    it('refuses a lock that lacks a key, and one of another kind or limit', async () => {
      const lock = await world.client.acquire('b');
      const slot = await world.client.acquire('s', { limit: 2 });
      const asked: [object, (string | string[])?][] = [
        [{ onNested: lock }],
        [{ onNested: lock }, ['b', 'a']],
        [{ onNested: lock, limit: 1 }, 'b'],
        [{ onNested: slot }, 's'],
        [{ onNested: slot, limit: 3 }, 's'],
      ];
      for (const [options, key] of asked) {
        await expect(call(options, key)).rejects.toThrow(ConfigError);
        await expect(call(options, key)).rejects.toThrow(/^option onNested: the lock "[bs]" does not hold "[abs]"/);
      }
      expect(world.log).toEqual(['enqueue b', 'enqueue s']);
    });

    it('refuses a lock that was lost, with the loss', async () => {
      const lock = await world.client.acquire('a');
      world.backend.owner.cut();
      await expect(call({ onNested: lock })).rejects.toBeInstanceOf(LockLostError);
      await expect(call({ onNested: lock })).rejects.toMatchObject({
        key: 'a',
        reason: 'disconnected',
        cause: lock.signal.reason,
      });
    });

    it('refuses a lock whose lease is over although nobody has noticed yet', async () => {
      const lock = await world.client.acquire('a', { leaseTtlS: 1 });
      world.clock.stall(2000);
      await expect(call({ onNested: lock })).rejects.toMatchObject({ code: 'LOCK_LOST', reason: 'expired' });
    });

    it('refuses a lock that has been released, and a part that has', async () => {
      const lock = await world.client.acquire('a');
      const part = await world.client.acquire('a', { onNested: lock });
      await part.release();
      const message = 'option onNested: the lock "a" has been released';
      await expect(call({ onNested: part })).rejects.toThrow(new ConfigError(message));
      await lock.release();
      await expect(call({ onNested: lock })).rejects.toThrow(new ConfigError(message));
      expect(world.log).toEqual(['enqueue a', 'release 1']);
    });
  });

  it('is refused by tickets', async () => {
    const lock = await world.client.acquire('a');
    for (const onNested of [lock, 'join'] as never[]) {
      expect(() => world.client.enqueue('a', { onNested })).toThrow(
        new ConfigError("option onNested: a ticket cannot join a lock; expected 'throw' or 'wait'"),
      );
    }
    expect(world.log).toEqual(['enqueue a']);
  });
});

describe('lock.run', () => {
  it('runs a function in the context of the lock and returns what it returns', async () => {
    const lock = await world.client.acquire('a');
    expect(lock.run(() => currentLock())).toBe(lock);
    expect(await lock.run(async () => (await settlePromises(), currentLock()))).toBe(lock);
    expect(() =>
      lock.run(() => {
        throw new RangeError('mine');
      }),
    ).toThrow(RangeError);
    expect(currentLock()).toBeUndefined();
  });

  it('grants nothing: the lock that it is about is nested in itself', async () => {
    const lock = await world.client.acquire('a');
    await lock.run(async () => {
      await expect(world.client.acquire('a')).rejects.toThrow(NestedLockError);
      expect(await world.client.tryAcquire('a')).toBeNull();
      expect(() => world.client.enqueue('a')).toThrow(NestedLockError);
    });
    await lock.release();
    expect(await lock.run(async () => (await world.client.acquire('a')).token)).toBe('2');
  });

  it('restores the locks around the acquire, not those of the caller', async () => {
    let inner: LockHandle | undefined;
    await world.client.withLock('outer', async () => {
      inner = await world.client.acquire('inner');
      const gone = await world.client.acquire('gone');
      await world.client.withLock('else', async () => {
        await inner!.run(async () => {
          expect(currentLock()).toBe(inner);
          await expect(world.client.acquire('outer')).rejects.toThrow(NestedLockError);
          expect(await (await world.client.acquire('free')).release()).toBe(true);
        });
        // A queue's task is judged by its own locks, not by those of whoever runs it.
        expect(await inner!.run(() => world.client.tryAcquire('else').then((lock) => lock?.token))).toBeDefined();
      });
      await gone.release();
      expect(gone.run(() => currentLock()?.keys)).toEqual(['outer']);
    });
    expect(inner!.run(() => currentLock())).toBe(inner);
    await inner!.release();
    expect(inner!.run(() => currentLock())).toBeUndefined();
  });

  it('of a lock that was acquired under no other saw the locks of whoever called it', async () => {
    const bare = await world.client.acquire('bare');
    await world.client.withLock('else', async () => {
      const taken = await bare.run(() => world.client.tryAcquire('else'));
      expect(taken?.keys).toEqual(['else']);
    });
  });

  it('of a body and of a part has the same lock as the body and the part', async () => {
    await world.client.withLock('a', async (lock) => {
      expect(lock.run(() => currentLock())).toBe(lock);
      await world.client.withLock('a', { onNested: lock }, (part) => {
        expect(part.run(() => currentLock())).toBe(part);
        expect(lock.run(() => currentLock())).toBe(lock);
      });
    });
  });

  it('shows a lock that was lost, so that code can look at it', async () => {
    const lock = await world.client.acquire('a');
    world.backend.owner.cut();
    expect(lock.run(() => currentLock()!.isHeld)).toBe(false);
  });

  it('of a ticket is about the lock that it gave', async () => {
    world.backend.onTicket = async (req) => world.backend.grantFor(req);
    const lock = await world.client.enqueue('a').wait();
    expect(lock!.run(() => currentLock())).toBe(lock);
  });
});
