import { beforeEach, describe, expect, it } from '@jest/globals';
import { LockLostError } from '../../../lib/common/errors.js';
import { currentLock } from '../../../lib/locks/current-lock.js';
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
