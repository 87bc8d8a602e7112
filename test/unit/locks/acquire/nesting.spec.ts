import { beforeEach, describe, expect, it } from '@jest/globals';
import { ConfigError, LockLostError, NestedLockError, UnsupportedError } from '../../../../lib/common/errors.js';
import { currentLock } from '../../../../lib/locks/handle/current-lock.js';
import type { LockHandle } from '../../../../lib/locks/handle/lock-handle.js';
import { settlePromises } from '../../../support/fake-clock.js';
import { forever, World } from '../support/world.js';

let world: World;

beforeEach(() => void (world = new World()));

/** A promise and its resolve. */
function gate() {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

describe('a key that is asked for inside its own hold', () => {
  it('is refused at once; only tryAcquire finds it busy', async () => {
    await world.client.withLock('a', async () => {
      await expect(world.client.acquire('a')).rejects.toMatchObject({ code: 'NESTED', key: 'a' });
      await expect(world.client.withLock('a', { acquireTimeoutS: 0 }, () => 1)).rejects.toThrow(NestedLockError);
      expect(await world.client.tryAcquire('a')).toBeNull();
      expect(() => world.client.enqueue('a')).toThrow(NestedLockError);
    });
    expect(world.log).toEqual(['enqueue a', 'release 1']);
  });

  it('among others is refused too, and names the one that is held', async () => {
    await world.client.withLock('b', async () => {
      await expect(world.client.acquire(['a', 'b', 'c'])).rejects.toMatchObject({ code: 'NESTED', key: 'b' });
      expect(await world.client.tryAcquire(['a', 'b'])).toBeNull();
    });
    // Held by two holds: neither has them all.
    await world.client.withLock('a', (a) =>
      world.client.withLock('b', async (b) => {
        await expect(world.client.acquire(['a', 'b'], { onNested: a })).rejects.toThrow(ConfigError);
        await expect(world.client.acquire(['a', 'b'], { onNested: b })).rejects.toThrow(ConfigError);
      }),
    );
  });

  it('is another lock for another client, of another kind, and with several slots', async () => {
    const other = new World();
    await world.client.withLock('a', async () => {
      expect(await (await other.client.acquire('a')).release()).toBe(true);
      expect(await (await world.client.acquire('a', { limit: 1 })).release()).toBe(true);
    });
    await world.client.withLock('a', { limit: 2 }, async () => {
      expect(await (await world.client.acquire('a', { limit: 2 })).release()).toBe(true);
    });
    await world.client.withLock('a', { limit: 1 }, async () => {
      await expect(world.client.acquire('a', { limit: 1 })).rejects.toThrow(NestedLockError);
      // That the limits differ is for the server to say.
      expect(await (await world.client.acquire('a', { limit: 2 })).release()).toBe(true);
    });
    await world.client.withLock('a', { limit: 2 }, async () => {
      expect(await (await world.client.acquire('a', { limit: 1 })).release()).toBe(true);
    });
  });

  it('is compared as it is on the wire', async () => {
    world = new World({ namespace: 'n' });
    await world.client.withLock('a', async () => {
      await expect(world.client.acquire('a')).rejects.toThrow(NestedLockError);
    });
  });

  it('is free for others once the hold is lost, or being released', async () => {
    await world.client.withLock('a', { onLost: 'ignore' }, async () => {
      world.backend.owner.cut();
      expect((await world.client.acquire('a')).isHeld).toBe(true);
    });
    await world.client.withLock('b', async (lock) => {
      void lock.release();
      expect((await world.client.acquire('b')).isHeld).toBe(true);
    });
    await world.client.withLock('c', { leaseTtlS: 1, onLost: 'ignore' }, async () => {
      world.backend.onRenew = forever;
      // Nobody has noticed yet, but it is not live.
      world.clock.stall(2000);
      expect((await world.client.acquire('c', { leaseTtlS: 100 })).isHeld).toBe(true);
      await world.clock.advanceAsync(0);
    });
  });

  it('is waited for by a detached task that says so', async () => {
    let left: Promise<LockHandle> | undefined;
    await world.client.withLock('a', () => {
      left = world.client.acquire('a', { onNested: 'wait' });
    });
    expect((await left)!.isHeld).toBe(true);
    expect(world.log).toEqual(['enqueue a', 'enqueue a', 'release 1']);
    await world.client.withLock('b', async () => {
      await world.client.tryAcquire('b', { onNested: 'wait' });
      expect(world.log.at(-1)).toBe('try lock b 1');
    });
  });
});

describe('a lock that is joined', () => {
  it('is the one that is held, and goes with it', async () => {
    await world.client.withLock('a', { leaseTtlS: 10 }, async (outer) => {
      const result = await world.client.withLock('a', { onNested: outer }, async (inner) => {
        expect(currentLock()).toBe(inner);
        expect(inner).not.toBe(outer);
        expect(inner).toMatchObject({
          keys: ['a'],
          token: '1',
          fence: 1n,
          isHeld: true,
          remainingMs: 9800,
          waitedMs: 0,
        });
        expect(inner.grants).toEqual(outer.grants);
        expect(inner.signal).toBe(outer.signal);
        inner.assertHeld();
        expect(await inner.renew(20)).toBe(19_600);
        expect(JSON.parse(JSON.stringify(inner))).toMatchObject({ keys: ['a'], isHeld: true });
        return 5;
      });
      expect(result).toBe(5);
      expect(outer.isHeld).toBe(true);
      expect(currentLock()).toBe(outer);
    });
    expect(world.log).toEqual(['enqueue a', 'renew 1 20000', 'release 1']);
    expect(world.types).toEqual(['acquired', 'renewed', 'released']);
  });

  it('may be some of the keys of a set, and deep', async () => {
    await world.client.withLock(['a', 'b', 'c'], async (all) => {
      await world.client.withLock(['b', 'a'], { onNested: all }, async (two) => {
        expect(two.keys).toEqual(['a', 'b']);
        expect(two.grants.map(({ token }) => token)).toEqual(['1', '2']);
        expect(two.fence).toBeUndefined();
        await using one = await world.client.acquire('b', { onNested: two, acquireTimeoutS: 0 });
        expect(one.token).toBe('2');
        await using tried = await world.client.tryAcquire('c', { onNested: all });
        expect(tried!.fence).toBe(3n);
      });
    });
    expect(world.log.slice(3)).toEqual(['release 3', 'release 2', 'release 1']);
  });

  it('keeps the release of the outer hold waiting until the last has left', async () => {
    const [first, second] = [gate(), gate()];
    const parts: Promise<void>[] = [];
    let done = false;
    const outer = world.client
      .withLock('a', { leaseTtlS: 10 }, async (lock) => {
        for (const { opened } of [first, second]) {
          parts.push(world.client.withLock('a', { onNested: lock }, () => opened));
        }
        await settlePromises();
      })
      .then(() => (done = true));
    await world.clock.advanceAsync(30_000);
    expect(done).toBe(false);
    // It is renewed as long as anybody works under it.
    expect(world.log.filter((line) => line.startsWith('renew')).length).toBeGreaterThan(4);
    first.open();
    await settlePromises();
    expect(done).toBe(false);
    second.open();
    await Promise.all(parts);
    await outer;
    expect(world.log.at(-1)).toBe('release 1');
  });

  it('can be joined by what runs under it even while the outer hold waits to be released', async () => {
    const late = gate();
    let part: Promise<boolean> | undefined;
    const outer = world.client.withLock('a', async (whole) => {
      part = world.client.withLock('a', { onNested: whole }, async (own) => {
        await late.opened;
        await expect(world.client.acquire('a')).rejects.toThrow(NestedLockError);
        return world.client.withLock('a', { onNested: own }, (lock) => lock.isHeld);
      });
      await settlePromises();
    });
    for (let i = 0; i < 3; i++) await settlePromises();
    late.open();
    expect(await part).toBe(true);
    await outer;
    expect(world.log).toEqual(['enqueue a', 'release 1']);
  });

  it('cannot be joined any more by the outer body that has released it', async () => {
    const late = gate();
    await world.client.withLock('a', async (outer) => {
      const part = world.client.withLock('a', { onNested: outer }, () => late.opened);
      await settlePromises();
      const released = outer.release();
      await expect(world.client.acquire('a', { onNested: outer })).rejects.toThrow(ConfigError);
      const next = await world.client.acquire('a');
      expect(next.token).toBe('2');
      late.open();
      await part;
      expect(await released).toBe(true);
    });
    expect(world.log).toEqual(['enqueue a', 'enqueue a', 'release 1']);
  });

  it('says the same as the whole, and no more than its own keys', async () => {
    await world.client.withLock(['a', 'b'], { leaseTtlS: 10 }, async (outer) => {
      const part = await world.client.acquire('b', { onNested: outer });
      expect(part).toMatchObject({ keys: ['b'], token: '2', fence: 2n, waitedMs: 0, isHeld: true, remainingMs: 9800 });
      expect(JSON.parse(JSON.stringify(part))).toEqual({
        keys: ['b'],
        grants: [{ key: 'b', server: 'fake', fence: '2' }],
        isHeld: true,
        waitedMs: 0,
      });
      expect(part.grants).toEqual([outer.grants[1]]);
      await part[Symbol.asyncDispose]();
      expect([part.isHeld, outer.isHeld]).toEqual([false, true]);
      expect(() => part.assertHeld()).toThrow(expect.objectContaining({ key: 'b', reason: 'expired', server: 'fake' }));
      const again = await world.client.acquire('b', { onNested: outer });
      expect(again.isHeld).toBe(true);
      await again.release();
    });
    expect(world.log.slice(2)).toEqual(['release 2', 'release 1']);
  });

  it('shows no fence where there is none', async () => {
    const { backend, client } = world;
    backend.onEnqueue = async (req) => ({ ...backend.grantFor(req), fence: undefined });
    await client.withLock('a', async (outer) => {
      await using part = await client.acquire('a', { onNested: outer });
      expect(JSON.parse(JSON.stringify(part))).toEqual({
        keys: ['a'],
        grants: [{ key: 'a', server: 'fake' }],
        isHeld: true,
        waitedMs: 0,
      });
      expect(outer.grants[0]).not.toHaveProperty('fence');
      expect(JSON.parse(JSON.stringify(outer))).not.toHaveProperty('fence');
    });
  });

  it('joins the whole also when it is a part of a part', async () => {
    await world.client.withLock('a', async (outer) => {
      const first = await world.client.enter('a', { onNested: outer });
      await first.run(async () => {
        const second = await world.client.acquire('a', { onNested: first.lock });
        await first.leave();
        expect([second.isHeld, second.token]).toEqual([true, outer.token]);
        await second.release();
      });
      await first.run(async () => {
        // The part has been left, the whole has not.
        const third = await world.client.acquire('a', { onNested: outer });
        expect(third.isHeld).toBe(true);
        await third.release();
      });
    });
    expect(world.log).toEqual(['enqueue a', 'release 1']);
  });

  it('is over for a part that has released itself: what it asks for next is another lock', async () => {
    const late = gate();
    await world.client.withLock('a', async (outer) => {
      const end = gate();
      const other = world.client.withLock('a', { onNested: outer }, () => end.opened);
      const part = world.client.withLock('a', { onNested: outer }, async (inner) => {
        expect(await (await world.client.acquire('b')).release()).toBe(true);
        await late.opened;
        await inner.release();
        const next = await world.client.acquire('a');
        expect(next.token).toBe('3');
        await next.release();
      });
      await settlePromises();
      const released = outer.release();
      late.open();
      await part;
      end.open();
      await other;
      expect(await released).toBe(true);
    });
  });

  it('is left once by each, however often it is released', async () => {
    const late = gate();
    let part: Promise<void> | undefined;
    let done = false;
    const outer = world.client
      .withLock('a', async (lock) => {
        part = world.client.withLock('a', { onNested: lock }, () => late.opened);
        const twice = await world.client.acquire('a', { onNested: lock });
        await twice.release();
        await twice.release();
      })
      .then(() => (done = true));
    for (let i = 0; i < 3; i++) await settlePromises();
    expect(done).toBe(false);
    late.open();
    await part;
    await outer;
  });

  it('is over for its own holder once it has been released, and only then', async () => {
    await world.client.withLock('a', async (outer) => {
      const inner = await world.client.acquire('a', { onNested: outer });
      expect(await inner.release()).toBe(true);
      expect(await inner.release()).toBe(true);
      expect(inner.isHeld).toBe(false);
      expect(inner.remainingMs).toBe(0);
      expect(() => inner.assertHeld()).toThrow(LockLostError);
      await expect(inner.renew()).rejects.toBeInstanceOf(LockLostError);
      expect(outer.isHeld).toBe(true);
    });
    expect(world.log.at(-1)).toBe('release 1');
  });

  it('is lost with the outer one, and each keeps what it returned', async () => {
    let inside: unknown;
    const outer = world.client.withLock('a', async (whole) => {
      inside = await world.client
        .withLock('a', { onNested: whole }, (lock) => {
          world.backend.owner.cut();
          expect(() => lock.assertHeld()).toThrow(LockLostError);
          return 'inner';
        })
        .catch((error: unknown) => error);
      return 'outer';
    });
    await expect(outer).rejects.toMatchObject({ reason: 'disconnected', settled: { value: 'outer' } });
    expect(inside).toMatchObject({ reason: 'disconnected', settled: { value: 'inner' } });
    expect(world.losses).toHaveLength(1);
  });

  it('does not keep the outer release waiting after the loss', async () => {
    let joined: LockHandle | undefined;
    const outer = world.client.withLock('a', { onLost: 'ignore' }, async (lock) => {
      joined = await world.client.acquire('a', { onNested: lock });
    });
    await settlePromises();
    world.backend.owner.cut();
    await outer;
    expect(await joined!.release()).toBe(false);
  });

  it('does not keep close() waiting for ever', async () => {
    void world.client.withLock('a', async (lock) => {
      await world.client.acquire('a', { onNested: lock });
    });
    await settlePromises();
    const closing = world.client.close();
    await world.clock.advanceAsync(10_000);
    await closing;
    expect(world.losses).toEqual([expect.objectContaining({ reason: 'shutdown' })]);
    expect(world.log).toEqual(['enqueue a', 'release 1', 'close']);
  });

  it('keeps the whole for its own minimum hold', async () => {
    await world.client.withLock('a', { minHoldS: 10 }, (lock) =>
      world.client.withLock('a', { onNested: lock, minHoldS: 30 }, () => undefined),
    );
    expect(world.log.at(-1)).toBe('keep 1 30000');
  });

  it('must have a fence where one is required', async () => {
    const { backend } = world;
    backend.onEnqueue = async (req) => ({ ...backend.grantFor(req), fence: undefined });
    await world.client.withLock('a', async (lock) => {
      const joining = world.client.acquire('a', { onNested: lock, requireFence: true });
      await expect(joining).rejects.toBeInstanceOf(UnsupportedError);
    });
    expect(world.log.at(-1)).toBe('release 1');
  });
});
