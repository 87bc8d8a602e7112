import { beforeEach, describe, expect, it } from '@jest/globals';
import { Deferred } from '../../../../lib/common/deferred.js';
import { ConfigError, LockLostError, ServerDrainingError } from '../../../../lib/common/errors.js';
import type { Proof } from '../../../../lib/backends/backend.js';
import type { LockHandle } from '../../../../lib/locks/handle/lock-handle.js';
import { settlePromises } from '../../../support/fake-clock.js';
import { forever, World } from '../support/world.js';

let world: World;

beforeEach(() => void (world = new World({ leaseTtlS: 10 })));

/** A body that runs until a test settles it. */
const begin = async (key: string | string[], options: object = { maxHoldS: 60 }) => {
  const body = new Deferred<string>();
  let lock!: LockHandle;
  const outcome = world.client
    .withLock(key, options, (handle) => {
      lock = handle;
      return body.promise;
    })
    .then(
      (value) => value,
      (error: unknown) => error,
    );
  await settlePromises();
  return { body, lock, outcome };
};
const since = (line: string): readonly string[] => world.log.slice(world.log.lastIndexOf(line) + 1);

describe('a body that holds its lock for longer than maxHoldS', () => {
  it('was renewed for ever: it is told first, then its lock is renewed once more and lapses', async () => {
    const { lock } = await begin('a');
    lock.signal.addEventListener('abort', () => world.backend.log.push(`told, held ${String(lock.isHeld)}`));
    await world.clock.advanceAsync(59_999);
    expect(lock.isHeld).toBe(true);
    expect(lock.remainingMs).toBe(1);
    await world.clock.advanceAsync(1);
    expect(lock.isHeld).toBe(false);
    expect(lock.remainingMs).toBe(0);
    expect(lock.signal.reason).toBeInstanceOf(LockLostError);
    expect(lock.signal.reason).toMatchObject({ reason: 'overdue', key: 'a', server: 'fake' });
    expect(() => lock.assertHeld()).toThrow(lock.signal.reason as Error);
    expect(world.losses).toMatchObject([{ keys: ['a'], reason: 'overdue', heldMs: 60_000 }]);
    expect(since('told, held false')).toEqual(['renew 1 1000']);
    await world.clock.advanceAsync(999);
    expect(since('told, held false')).toEqual(['renew 1 1000']);
    await world.clock.advanceAsync(1);
    expect(since('renew 1 1000')).toEqual(['release 1']);
    await world.clock.advanceAsync(3_600_000);
    expect(world.log.at(-1)).toBe('release 1');
    expect(world.losses).toHaveLength(1);
  });

  it('rejects once it settles, with its result; what is left of the lock is given back at once', async () => {
    const { body, outcome } = await begin('a');
    await world.clock.advanceAsync(60_300);
    body.resolve('done');
    expect(await outcome).toMatchObject({ reason: 'overdue', settled: { value: 'done' } });
    expect(since('renew 1 1000')).toEqual(['release 1']);
    await world.clock.advanceAsync(60_000);
    expect(since('renew 1 1000')).toEqual(['release 1']);
  });

  it('that settles after its lock has lapsed gives nothing back a second time', async () => {
    const { body, outcome } = await begin('a');
    await world.clock.advanceAsync(70_000);
    body.resolve('done');
    expect(await outcome).toMatchObject({ reason: 'overdue' });
    expect(since('renew 1 1000')).toEqual(['release 1']);
  });

  it("keeps its own error, and succeeds with onLost: 'ignore'", async () => {
    const failing = await begin('a');
    await world.clock.advanceAsync(60_000);
    failing.body.reject(new Error('its own'));
    expect(await failing.outcome).toMatchObject({ message: 'its own' });
    const ignoring = await begin('b', { maxHoldS: 60, onLost: 'ignore' });
    await world.clock.advanceAsync(60_000);
    ignoring.body.resolve('done');
    expect(await ignoring.outcome).toBe('done');
    expect(since('renew 2 1000')).toEqual(['release 2']);
    expect(world.losses.map(({ reason }) => reason)).toEqual(['overdue', 'overdue']);
  });

  it('reads the truth after a blocked event loop, before any timer has run', async () => {
    const outcome = world.client.withLock('a', { maxHoldS: 60, leaseTtlS: 3600 }, (lock) => {
      world.clock.stall(60_000);
      return [lock.isHeld, lock.remainingMs, () => lock.assertHeld()] as const;
    });
    const loss = (await outcome.catch((error: unknown) => error)) as LockLostError;
    expect(loss).toMatchObject({ reason: 'overdue' });
    const [isHeld, remainingMs, assertHeld] = loss.settled!.value as [boolean, number, () => void];
    expect([isHeld, remainingMs]).toEqual([false, 0]);
    expect(assertHeld).toThrow(expect.objectContaining({ reason: 'overdue' }));
    expect(world.log.at(-1)).toBe('release 1');
  });

  it('names the limit as the reason when it is asked before the timer has run', async () => {
    const scope = await world.client.enter('a', { maxHoldS: 60, leaseTtlS: 3600 });
    world.clock.stall(60_000);
    expect(() => scope.lock.assertHeld()).toThrow(expect.objectContaining({ reason: 'overdue' }));
    await scope.leave();
  });

  it('is not extended by the answer to a renewal that was under way; the last renewal goes after it', async () => {
    const answer = new Deferred<Proof>();
    const { lock } = await begin('a', { maxHoldS: 6, leaseTtlS: 10 });
    world.backend.onRenew = () => answer.promise;
    await world.clock.advanceAsync(6000);
    expect(lock.signal.aborted).toBe(true);
    expect(world.log.filter((line) => line.startsWith('renew'))).toEqual(['renew 1 10000']);
    world.backend.onRenew = async (_, leaseMs) => ({ validFrom: world.clock.now(), leaseMs });
    answer.resolve({ validFrom: world.clock.now(), leaseMs: 10_000 });
    await settlePromises();
    expect(lock.isHeld).toBe(false);
    expect(since('renew 1 10000')).toEqual(['renew 1 1000']);
    await world.clock.advanceAsync(20_000);
    expect(since('renew 1 1000')).toEqual(['release 1']);
  });

  it('is freed in time although a renewal under way is never answered, and sends none after the release', async () => {
    const answer = new Deferred<Proof>();
    await begin('a', { maxHoldS: 6, leaseTtlS: 10 });
    world.backend.onRenew = () => answer.promise;
    await world.clock.advanceAsync(7000);
    expect(since('renew 1 10000')).toEqual(['release 1']);
    answer.reject(new LockLostError('a', 'rejected'));
    await world.clock.advanceAsync(7000);
    expect(since('renew 1 10000')).toEqual(['release 1']);
  });

  it('survives a last renewal that fails', async () => {
    const { body, outcome } = await begin('a', { maxHoldS: 4, leaseTtlS: 10 });
    world.backend.onRenew = () => Promise.reject(new LockLostError('a', 'rejected'));
    await world.clock.advanceAsync(5000);
    expect(world.log.slice(-2)).toEqual(['renew 1 1000', 'release 1']);
    body.resolve('done');
    expect(await outcome).toMatchObject({ reason: 'overdue' });
    expect(world.losses).toHaveLength(1);
  });

  it('asks for the shortest lease of the backend where that is longer than a second', async () => {
    world.backend.capabilities = { ...world.backend.capabilities, minLeaseMs: 3000 };
    await begin('a');
    await world.clock.advanceAsync(62_999);
    expect(world.log.at(-1)).toBe('renew 1 3000');
    await world.clock.advanceAsync(1);
    expect(world.log.at(-1)).toBe('release 1');
  });

  it('loses all of its keys at once', async () => {
    const { lock } = await begin(['b', 'a']);
    await world.clock.advanceAsync(60_000);
    expect(lock.isHeld).toBe(false);
    expect(world.log.slice(-2)).toEqual(['renew 1 1000', 'renew 2 1000']);
    await world.clock.advanceAsync(1000);
    expect(world.log.slice(-2)).toEqual(['release 2', 'release 1']);
    expect(world.losses).toMatchObject([{ keys: ['a', 'b'], reason: 'overdue' }]);
  });

  it('on a server that drains is told again, and nothing more is sent before the second is over', async () => {
    const { lock } = await begin('a', { maxHoldS: 4, leaseTtlS: 10 });
    world.backend.link({ server: 'fake', state: 'draining' });
    expect(lock.signal.reason).toBeInstanceOf(ServerDrainingError);
    await world.clock.advanceAsync(4999);
    expect(world.losses).toMatchObject([{ reason: 'overdue' }]);
    expect(world.log).toEqual(['enqueue a']);
    await world.clock.advanceAsync(1);
    expect(world.log).toEqual(['enqueue a', 'release 1']);
  });

  it('that does not renew by itself is told all the same', async () => {
    const { lock } = await begin('a', { maxHoldS: 4, leaseTtlS: 10, autoRenew: false });
    await world.clock.advanceAsync(4000);
    expect(lock.signal.reason).toMatchObject({ reason: 'overdue' });
    await expect(lock.renew()).rejects.toMatchObject({ reason: 'overdue' });
    expect(world.log).toEqual(['enqueue a', 'renew 1 1000']);
  });

  it('is not told twice where the lock was lost before, nor while it lapses', async () => {
    const before = await begin('a');
    await world.clock.advanceAsync(1000);
    world.backend.owner.cut();
    before.body.resolve('done');
    expect(await before.outcome).toMatchObject({ reason: 'disconnected' });
    await begin('b');
    await world.clock.advanceAsync(60_000);
    world.backend.owner.cut();
    await world.clock.advanceAsync(60_000);
    expect(world.losses.map(({ reason }) => reason)).toEqual(['disconnected', 'overdue']);
  });

  it('is not given back a second time where its backend says that it is overdue', async () => {
    const { body, outcome } = await begin('a');
    world.backend.owner.cut('overdue');
    body.resolve('done');
    expect(await outcome).toMatchObject({ reason: 'overdue' });
    expect(world.log).toEqual(['enqueue a', 'abandon 1']);
  });

  it('may release by hand as soon as it is told', async () => {
    const { lock } = await begin('a');
    lock.signal.addEventListener('abort', () => void lock.release());
    await world.clock.advanceAsync(60_000);
    expect(world.log.at(-1)).toBe('release 1');
    await world.clock.advanceAsync(60_000);
    expect(world.log.filter((line) => line.startsWith('release'))).toEqual(['release 1']);
    expect(world.log).not.toContain('renew 1 1000');
  });

  it('does not hold up the end of the client for longer than shutdownTimeoutS', async () => {
    world = new World({ leaseTtlS: 10, shutdownTimeoutS: 3 });
    await begin('a');
    await world.clock.advanceAsync(60_000);
    let closed = false;
    void world.client.close().then(() => (closed = true));
    await world.clock.advanceAsync(3000);
    expect(closed).toBe(true);
    expect(world.losses.map(({ reason }) => reason)).toEqual(['overdue']);
  });

  it('was released by hand as if in time, before the timer had run', async () => {
    const scope = await world.client.enter('a', { maxHoldS: 60, leaseTtlS: 3600 });
    world.clock.stall(60_000);
    expect(await scope.lock.release()).toBe(false);
    expect(world.losses).toMatchObject([{ reason: 'overdue' }]);
    expect(world.log.at(-1)).toBe('release 1');
  });

  it('leaves no timer behind when it settles in time', async () => {
    const { body, lock, outcome } = await begin('a');
    body.resolve('done');
    expect(await outcome).toBe('done');
    await world.clock.advanceAsync(600_000);
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ reason: 'expired' }));
    expect(world.log).toEqual(['enqueue a', 'release 1']);
    expect(world.losses).toEqual([]);
    expect(world.clock.pendingTimers).toBe(0);
  });

  it('keeps its minimum hold when it settles in time', async () => {
    const { body, outcome } = await begin('a', { minHoldS: 60, maxHoldS: 60 });
    await world.clock.advanceAsync(1000);
    body.resolve('done');
    expect(await outcome).toBe('done');
    expect(world.log.at(-1)).toBe('keep 1 59000');
    await world.clock.advanceAsync(120_000);
    expect(world.losses).toEqual([]);
  });
});

describe('who joins a lock', () => {
  it('has the limit of the lock that it joins', async () => {
    const told: (string | undefined)[] = [];
    const { body, outcome } = await begin('a', { maxHoldS: 60 });
    body.resolve('done');
    await outcome;
    const part = world.client.withLock('a', { maxHoldS: 60 }, (lock) =>
      world.client.withLock('a', { onNested: lock, maxHoldS: 1 }, (joined) => {
        joined.signal.addEventListener('abort', () => told.push((joined.signal.reason as LockLostError).reason));
        return forever();
      }),
    );
    part.catch(() => undefined);
    await world.clock.advanceAsync(59_999);
    expect(told).toEqual([]);
    await world.clock.advanceAsync(1);
    expect(told).toEqual(['overdue']);
  });

  it('and never leaves does not keep it for ever when the outer body has settled', async () => {
    let outcome: unknown = 'waits';
    const outer = world.client.withLock('a', { maxHoldS: 60 }, (lock) => {
      world.client.withLock('a', { onNested: lock }, forever).catch(() => undefined);
      return settlePromises();
    });
    void outer.then(() => (outcome = 'settled'));
    await world.clock.advanceAsync(59_999);
    expect(outcome).toBe('waits');
    await world.clock.advanceAsync(1);
    expect(outcome).toBe('settled');
    // The part may still be at work: it has the time of the last lease.
    expect(world.log.at(-1)).toBe('renew 1 1000');
    await world.clock.advanceAsync(1000);
    expect(world.log.at(-1)).toBe('release 1');
  });

  it('was told "expired", and that its release was in time, before the timer had run', async () => {
    const scope = await world.client.enter('a', { maxHoldS: 60, leaseTtlS: 3600 });
    const join = () => world.client.acquire('a', { onNested: scope.lock });
    const [asking, joined, releasing] = [await join(), await join(), await join()];
    world.clock.stall(60_000);
    expect(scope.loss).toBeUndefined();
    const overdue = { reason: 'overdue' } as const;
    await expect(world.client.acquire('a', { onNested: joined })).rejects.toMatchObject(overdue);
    expect(() => asking.assertHeld()).toThrow(expect.objectContaining(overdue));
    expect(await releasing.release()).toBe(false);
    expect(world.losses).toHaveLength(1);
  });

  it('gives back what lapses when the last of them has left', async () => {
    const part = new Deferred<void>();
    const outer = world.client.withLock('a', { maxHoldS: 60 }, (lock) => {
      world.client.withLock('a', { onNested: lock }, () => part.promise).catch(() => undefined);
      return world.clock.advanceAsync(60_000);
    });
    expect(await outer.catch((error: unknown) => error)).toMatchObject({ reason: 'overdue' });
    expect(world.log.at(-1)).toBe('renew 1 1000');
    part.resolve();
    await settlePromises();
    expect(world.log.at(-1)).toBe('release 1');
  });
});

describe('maxHoldS of the client', () => {
  it('is for bodies, and not for handles', async () => {
    world = new World({ leaseTtlS: 10, maxHoldS: 60 });
    const handle = await world.client.acquire('handle');
    const own = await begin('own', { maxHoldS: 70 });
    const body = await begin('body', {});
    await world.clock.advanceAsync(60_000);
    expect([handle.isHeld, own.lock.isHeld, body.lock.isHeld]).toEqual([true, true, false]);
    await world.clock.advanceAsync(10_000);
    expect([handle.isHeld, own.lock.isHeld]).toEqual([true, false]);
    const scope = await world.client.enter('bare');
    await world.clock.advanceAsync(60_000);
    expect(scope.loss).toMatchObject({ reason: 'overdue' });
  });

  it('is off by default', async () => {
    const { lock } = await begin('a', {});
    await world.clock.advanceAsync(86_400_000);
    expect(lock.isHeld).toBe(true);
  });

  it('below the minHoldS of a body is a ConfigError that names both, before anything is sent', async () => {
    world = new World({ maxHoldS: 60 });
    const message = /option maxHoldS: expected at least minHoldS \(61\), got 60/;
    await expect(world.client.withLock('a', { minHoldS: 61 }, () => 1)).rejects.toThrow(message);
    await expect(world.client.withLock('a', { minHoldS: 61, maxHoldS: 60 }, () => 1)).rejects.toThrow(ConfigError);
    await expect(world.client.withLock('a', { minHoldS: 61, maxHoldS: 61 }, () => 1)).resolves.toBe(1);
    expect(world.log).toEqual(['enqueue a', 'keep 1 61000']);
  });

  it.each([0, -1, NaN, Infinity, 2_147_484, '60', null])('%p is refused', async (maxHoldS) => {
    const options = { maxHoldS: maxHoldS as number };
    expect(() => new World(options)).toThrow(
      /option maxHoldS: expected a number between 0 and 2147483, exclusive, got/,
    );
    await expect(world.client.withLock('a', options, () => 1)).rejects.toThrow(ConfigError);
    await expect(world.client.acquire('a', { maxHoldS: 1 } as object)).rejects.toThrow(/option maxHoldS is unknown/);
    expect(world.log).toEqual([]);
  });
});
