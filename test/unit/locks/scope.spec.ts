import { Readable } from 'node:stream';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { LockLostError } from '../../../lib/common/errors.js';
import { currentLock } from '../../../lib/locks/handle/current-lock.js';
import { forever, World } from './support/world.js';

let world: World;

beforeEach(() => void (world = new World()));

describe('a scope', () => {
  it('tells of the loss in the turn in which it happens, once', async () => {
    const scope = await world.client.enter('a');
    const told: LockLostError[] = [];
    scope.onLoss((loss) => told.push(loss));
    const stop = scope.onLoss(() => told.push(new LockLostError('never', 'expired')));
    stop();
    expect(scope.loss).toBeUndefined();
    world.backend.owner.cut();
    expect(told).toEqual([scope.loss]);
    expect(scope.loss).toMatchObject({ reason: 'disconnected', key: 'a' });
    world.backend.owner.cut();
    expect(told).toHaveLength(1);
    expect(await scope.leave()).toBe(scope.loss);
  });

  it('tells all holders of the loss although a listener throws', async () => {
    const uncaught = jest.spyOn(globalThis, 'queueMicrotask');
    const [first, second] = [await world.client.enter('a'), await world.client.enter('b')];
    const told: string[] = [];
    first.onLoss(() => {
      throw new RangeError('mine');
    });
    first.onLoss(({ key }) => told.push(key!));
    second.onLoss(({ key }) => told.push(key!));
    uncaught.mockImplementationOnce((rethrow) => expect(rethrow).toThrow(RangeError));
    world.backend.owner.cut();
    expect(told).toEqual(['a', 'b']);
    expect(world.losses).toHaveLength(2);
    uncaught.mockRestore();
  });

  it('tells at once who comes after the loss', async () => {
    const scope = await world.client.enter('a');
    world.backend.owner.cut();
    const told: LockLostError[] = [];
    scope.onLoss((loss) => told.push(loss))();
    expect(told).toEqual([scope.loss]);
  });

  it('of a part has a loss of its own, the same whoever asks', async () => {
    await world.client.withLock('a', { onLost: 'ignore' }, async (outer) => {
      const part = await world.client.enter('a', { onNested: outer });
      const told: LockLostError[] = [];
      const stop = part.onLoss((loss) => told.push(loss));
      part.onLoss(() => told.push(new LockLostError('never', 'expired')))();
      expect(await part.settle()).toBeUndefined();
      world.backend.owner.cut();
      expect(told).toEqual([part.loss]);
      stop();
      const whole = outer.signal.reason as LockLostError;
      expect(part.loss).not.toBe(whole);
      expect(part.loss).toMatchObject({ key: 'a', reason: 'disconnected', server: 'fake', cause: whole });
      expect(await part.settle()).toBe(part.loss);
      expect(await part.leave()).toBe(part.loss);
    });
  });

  it('waits out a doubt while its work goes on', async () => {
    const scope = await world.client.enter(['a', 'b'], { leaseTtlS: 10 });
    expect(await scope.settle()).toBeUndefined();
    world.backend.onRenew = forever;
    world.clock.stall(11_000);
    const settled = scope.settle();
    expect(scope.run(() => currentLock())).toBe(scope.lock);
    await world.clock.advanceAsync(0);
    expect(await settled).toMatchObject({ reason: 'expired', key: 'a' });
    expect(await scope.leave()).toBe(await settled);
  });

  it('counts its minimum hold from the acquire, and the longest of all parts', async () => {
    const outer = await world.client.enter('a', { minHoldS: 30 });
    await outer.run(async () => {
      const part = await world.client.enter('a', { onNested: outer.lock, minHoldS: 10 });
      await part.leave();
    });
    world.clock.stall(1000);
    await outer.leave();
    expect(world.log.at(-1)).toBe('keep 1 29000');
  });

  it('is left also when its release cannot be told to anybody', async () => {
    const scope = await world.client.enter('a');
    world.backend.onRelease = async () => 'gone';
    expect(await scope.leave()).toBeUndefined();
    await world.client.close();
    expect(world.log.at(-1)).toBe('close');
  });

  it('refuses its own options before anything is sent', async () => {
    for (const minHoldS of [-0.001, 2_147_484, Infinity]) {
      await expect(world.client.enter('a', { minHoldS })).rejects.toThrow(
        'option minHoldS: expected a number between 0 and 2147483',
      );
    }
    expect(world.log).toEqual([]);
    await (await world.client.enter('a', { minHoldS: 0 })).leave();
    expect(world.log).toEqual(['enqueue a', 'release 1']);
  });
});

describe('what a task leaves behind', () => {
  it('finds the outer lock once the inner one has been given back', async () => {
    let look!: () => unknown;
    await world.client.withLock('a', async (outer) => {
      await world.client.withLock('b', async (inner) => {
        expect(currentLock()).toBe(inner);
        const scope = await world.client.enter('c');
        scope.run(() => {
          look = () => scope.run(() => currentLock());
        });
        expect(look()).toBe(scope.lock);
        await scope.leave();
        expect(look()).toBe(inner);
      });
      expect(look()).toBe(outer);
    });
    expect(look()).toBeUndefined();
  });
});

/** As the queries of some libraries: nothing happens before its then() is called. */
const query = <T>(run: () => T): Promise<T> =>
  Object.assign(() => undefined, { then: (resolve: (value: T) => void) => resolve(run()) }) as unknown as Promise<T>;

describe('a query that begins with its then()', () => {
  it('ran outside the context of the lock that it was returned under', async () => {
    const keys = () => currentLock()?.keys.join();
    expect(await world.client.withLock('body', () => query(keys))).toBe('body');
    const scope = await world.client.enter('scope');
    expect(await scope.run(() => query(keys))).toBe('scope');
    await scope.leave();
  });

  it('gave a scope what goes on by itself', async () => {
    const scope = await world.client.enter('scope');
    const result = scope.run(() => query(() => new Readable({ read() {} })));
    await expect(result).rejects.toThrow(/returned a stream/);
    await scope.leave();
  });

  it('runs once, and what it throws is what the caller gets', async () => {
    let runs = 0;
    await world.client.withLock('a', () => query(() => ++runs));
    expect(runs).toBe(1);
    const failing = () => {
      throw new RangeError('mine');
    };
    await expect(world.client.withLock('a', () => query(failing))).rejects.toThrow(RangeError);
    expect(world.log.at(-1)).toBe('release 2');
  });
});
