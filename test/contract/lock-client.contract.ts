import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Capabilities } from '../../lib/backends/backend.js';
import {
  AcquireTimeoutError,
  LeaseExpiredError,
  NestedLockError,
  ShuttingDownError,
  UnsupportedError,
} from '../../lib/common/errors.js';
import { currentLock } from '../../lib/locks/handle/current-lock.js';
import type { LockClient } from '../../lib/locks/lock-client.js';
import type { LockHandle } from '../../lib/locks/handle/lock-handle.js';
import { inTime, until } from '../support/until.js';
import type { DaemonFacts } from './lock-backend.contract.js';

/** A place where locks live, and clients that reach it. */
export interface ClientFixture {
  /** One more process, so to speak; embedded engines know only one. */
  connect(): Promise<LockClient>;
  close(): Promise<void>;
  readonly daemon?: DaemonFacts;
}

/** Other tests may use the same daemon. */
const run = `client-${randomBytes(4).toString('hex')}-`;
let lastKey = 0;
const newKey = (): string => `${run}${++lastKey}`;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * What every LockClient promises, whatever it stands on.
 * @param pace `quick`: without what takes whole seconds and has been seen on a like backend
 */
export function describeLockClient(
  name: string,
  setUp: () => Promise<ClientFixture>,
  pace: 'complete' | 'quick' = 'complete',
): void {
  describe(`a LockClient: ${name}`, () => {
    let fixture: ClientFixture;
    let a: LockClient;
    let b: LockClient;
    let caps: Capabilities;
    let daemon: DaemonFacts;

    beforeEach(async () => {
      fixture = await setUp();
      daemon = fixture.daemon ?? {};
      a = await fixture.connect();
      b = await fixture.connect();
      caps = a.capabilities;
    });

    afterEach(async () => {
      await Promise.all([a.close(), b.close()]);
      await fixture.close();
    });

    const entries = async () =>
      (await b.stats())
        .flatMap(({ locks, semaphores }) => [...locks, ...semaphores])
        .filter(({ key }) => key.startsWith(run));

    const waiters = async (): Promise<number> => (await entries()).reduce((sum, entry) => sum + entry.waiters, 0);

    /** Nobody holds or waits for anything. */
    const empty = (): Promise<unknown> => until(async () => (await entries()).length === 0, 'nothing to be left');

    const isFree = async (key: string): Promise<boolean> => {
      const lock = await b.tryAcquire(key);
      return (await lock?.release()) ?? false;
    };

    describe('one key', () => {
      it('may be used by whoever hears of an event, in that very moment', async () => {
        const [first, second] = [newKey(), newKey()];
        const heard: string[] = [];
        const work: Promise<unknown>[] = [];
        a.events$.subscribe((event) => {
          if (!('keys' in event)) return;
          heard.push(`${event.type} ${event.keys[0] === first ? 'first' : 'second'}`);
          if (event.type === 'acquired' && event.keys[0] === first)
            work.push(a.withLock(second, () => heard.push('body')));
          if (event.type === 'released' && event.keys[0] === first) work.push(a.close());
        });
        const lock = await a.acquire(first);
        await until(() => heard.includes('released second'), 'the second lock to be released');
        expect(await lock.release()).toBe(true);
        await inTime(Promise.all(work), 'what the events have caused');
        expect(heard).toEqual(['acquired first', 'acquired second', 'body', 'released second', 'released first']);
      });

      it('is held until released, and shown with what the backend knows of it', async () => {
        const key = newKey();
        const lock = await a.acquire(key);
        expect(lock).toMatchObject({ keys: [key], isHeld: true });
        expect(lock.grants).toHaveLength(1);
        expect(lock.grants[0]).toMatchObject({ key, token: lock.token });
        expect(typeof lock.fence).toBe(caps.fence === 'per-key' ? 'bigint' : 'undefined');
        expect(() => JSON.stringify(lock)).not.toThrow();
        expect(await b.tryAcquire(key)).toBeNull();
        expect(await lock.release()).toBe(true);
        expect(await lock.release()).toBe(true);
        expect(await isFree(key)).toBe(true);
      });

      it.each([true, false])(
        'has the lease that was asked for, also after a wait (autoRenew %s)',
        async (autoRenew) => {
          const key = newKey();
          const held = await b.acquire(key);
          const waiting = a.acquire(key, { leaseTtlS: 20, autoRenew });
          await until(async () => (await waiters()) > 0, 'the waiter');
          await held.release();
          const lock = await inTime(waiting, 'the lock');
          // Nobody renews it afterwards.
          if (!autoRenew) expect(lock.remainingMs).toBeGreaterThan(10_000);
          await until(() => lock.remainingMs > 10_000, 'the lease');
          expect(await lock.release()).toBe(true);
          await empty();
        },
      );

      it('has fences that rise, where it has fences', async () => {
        if (caps.fence === 'none') return;
        const key = newKey();
        let last = 0n;
        for (let i = 0; i < 6; i++) {
          const lock = await (i % 2 ? a : b).acquire(key);
          expect(lock.fence! > last).toBe(true);
          last = lock.fence!;
          await lock.release();
        }
      });

      it('goes to the callers of a process in the order in which they came', async () => {
        const key = newKey();
        const held = await b.acquire(key);
        const order: number[] = [];
        const all = Array.from({ length: 24 }, async (_, i) => {
          const lock = await a.acquire(key, { acquireTimeoutS: 20 });
          order.push(i);
          await turn();
          await lock.release();
        });
        await until(async () => (await waiters()) > 0, 'a waiter');
        await held.release();
        await inTime(Promise.all(all), 'all callers', 20_000);
        expect(order).toEqual(order.map((_, i) => i));
        await empty();
      });

      it('never has two holders, whoever asks in whatever way', async () => {
        const key = newKey();
        let inside = 0;
        const guarded = async (lock: LockHandle | null): Promise<void> => {
          if (!lock) return;
          expect(++inside).toBe(1);
          await turn();
          expect(lock.isHeld).toBe(true);
          inside--;
          await lock.release();
        };
        const all = Array.from({ length: 60 }, async (_, i) => {
          const client = i % 2 ? a : b;
          if (i % 5 === 0) return guarded(await client.tryAcquire(key));
          if (i % 5 === 1) return guarded(await client.acquire([key, `${key}-x`], { acquireTimeoutS: 20 }));
          return guarded(await client.acquire(key, { acquireTimeoutS: 20 }));
        });
        await inTime(Promise.all(all), 'all callers', 20_000);
        await empty();
      });
    });

    describe('several keys', () => {
      it('are taken all, once each, and released all', async () => {
        const [x, y] = [newKey(), newKey()];
        const lock = await a.acquire([y, x, y]);
        expect([...lock.keys].sort()).toEqual([x, y].sort());
        expect(lock.grants.map(({ key }) => key).sort()).toEqual([x, y].sort());
        expect(lock.token).toBe(lock.grants[0]!.token);
        expect(lock.fence).toBeUndefined();
        expect(lock.isHeld).toBe(true);
        expect(await b.tryAcquire(x)).toBeNull();
        expect(await b.tryAcquire(y)).toBeNull();
        expect(await lock.release()).toBe(true);
        await empty();
      });

      it('are refused together when one is busy, and nothing stays behind', async () => {
        const [x, y, z] = [newKey(), newKey(), newKey()];
        const held = await b.acquire(y);
        expect(await a.tryAcquire([x, y, z])).toBeNull();
        expect(await isFree(x)).toBe(true);
        expect(await isFree(z)).toBe(true);
        await expect(a.acquire([x, y, z], { acquireTimeoutS: 1 })).rejects.toBeInstanceOf(AcquireTimeoutError);
        await held.release();
        await empty();
      });

      it('are waited for', async () => {
        const [x, y] = [newKey(), newKey()];
        const held = [await b.acquire(y), await b.acquire(x)];
        const waiting = a.acquire([x, y]);
        await until(async () => (await waiters()) > 0, 'the waiter');
        for (const lock of held) await lock.release();
        const lock = await inTime(waiting, 'both');
        expect(lock.isHeld).toBe(true);
        expect(lock.grants).toHaveLength(2);
        await lock.release();
        await empty();
      });

      it('are given up together', async () => {
        const [x, y] = [newKey(), newKey()];
        const held = await b.acquire(y);
        const stop = new AbortController();
        const waiting = a.acquire([x, y], { signal: stop.signal });
        await until(async () => (await waiters()) > 0, 'the waiter');
        stop.abort(new Error('enough'));
        await expect(waiting).rejects.toThrow('enough');
        await held.release();
        await empty();
      });

      it('never dead-lock, in whatever order they are named', async () => {
        const keys = [newKey(), newKey(), newKey()];
        let rounds = 0;
        const work = async (client: LockClient, order: readonly string[]): Promise<void> => {
          for (let i = 0; i < 8; i++) {
            const lock = await client.acquire(order, { acquireTimeoutS: 20 });
            expect(lock.isHeld).toBe(true);
            await turn();
            await lock.release();
            rounds++;
          }
        };
        const orders = [
          [0, 1, 2],
          [2, 1, 0],
          [1, 0],
          [0, 2],
        ].map((order) => order.map((i) => keys[i]!));
        await inTime(Promise.all(orders.map((order, i) => work(i % 2 ? a : b, order))), 'all rounds', 20_000);
        expect(rounds).toBe(32);
        await empty();
      });
    });

    describe('a ticket', () => {
      const supported = (): boolean => {
        if (caps.tickets) return true;
        expect(() => a.enqueue(newKey())).toThrow(UnsupportedError);
        return false;
      };

      it('of a free key is a lock at once', async () => {
        if (!supported()) return;
        const key = newKey();
        const ticket = a.enqueue(key);
        expect(ticket.keys).toEqual([key]);
        expect(await inTime(ticket.placed, 'the place')).toBe('acquired');
        const lock = await inTime(ticket.wait(1), 'the lock');
        expect(lock!.isHeld).toBe(true);
        expect(await b.tryAcquire(key)).toBeNull();
        expect(await lock!.release()).toBe(true);
        await empty();
      });

      it('of a busy key is a place in line, which a wait that ends early keeps', async () => {
        if (!supported()) return;
        const key = newKey();
        const held = await b.acquire(key);
        const ticket = a.enqueue(key);
        expect(await inTime(ticket.placed, 'the place')).toBe('queued');
        const behind = b.enqueue(key);
        await inTime(behind.placed, 'the place behind');
        expect(await ticket.wait(0.05)).toBeNull();
        expect(await ticket.wait(0)).toBeNull();
        await held.release();
        const lock = await inTime(ticket.wait(5), 'the lock');
        expect(await behind.wait(0)).toBeNull();
        await lock!.release();
        const next = await inTime(behind.wait(5), 'the next lock');
        await next!.release();
        await empty();
      });

      it('can be given back, before and after it is a lock', async () => {
        if (!supported()) return;
        const key = newKey();
        const held = await b.acquire(key);
        const waiting = a.enqueue(key);
        await inTime(waiting.placed, 'the place');
        await waiting.cancel();
        await held.release();
        await empty();
        const granted = a.enqueue(key);
        expect(await inTime(granted.placed, 'the place')).toBe('acquired');
        await granted.cancel();
        await empty();
      });

      if (pace === 'complete') {
        it('that nobody claims is over with its lease, and says so', async () => {
          if (!supported()) return;
          const key = newKey();
          const ticket = a.enqueue(key, { leaseTtlS: Math.max(caps.minLeaseMs, 200) / 1000 });
          expect(await inTime(ticket.placed, 'the place')).toBe('acquired');
          await until(() => isFree(key), 'the lease to end');
          await expect(ticket.wait(1)).rejects.toBeInstanceOf(LeaseExpiredError);
          await empty();
        });
      }

      it('ends with its client', async () => {
        if (!supported() || daemon.keepsOnClose) return;
        const key = newKey();
        const held = await b.acquire(key);
        const c = await fixture.connect();
        if (c === a) return;
        const ticket = c.enqueue(key);
        await inTime(ticket.placed, 'the place');
        const waiting = ticket.wait(20);
        waiting.catch(() => undefined);
        await c.close();
        await expect(inTime(waiting, 'the refusal')).rejects.toBeInstanceOf(ShuttingDownError);
        await held.release();
        await empty();
      });
    });

    if (pace === 'complete') {
      describe('a body that holds its lock for longer than maxHoldS', () => {
        it('is told a second before anybody else has the lock, and keeps nobody out after that', async () => {
          const [waited, ...several] = [newKey(), newKey(), newKey()];
          // What has been waited for hangs on a connection of its own.
          const held = await b.acquire(waited);
          const entering = a.enter(waited, { maxHoldS: 1 });
          await until(async () => (await waiters()) > 0, 'the waiter');
          await held.release();
          const scopes = [await inTime(entering, 'the lock'), await a.enter(several, { maxHoldS: 1 })];
          const between = await Promise.all(
            scopes.map(async (scope) => {
              const told = new Promise<number>((resolve) => scope.onLoss(() => resolve(performance.now())));
              const others = scope.lock.keys.map((key) => b.acquire(key, { acquireTimeoutS: 20 }));
              const toldAt = await inTime(told, 'the news');
              const locks = await inTime(Promise.all(others), 'the next holders');
              const after = performance.now() - toldAt;
              for (const lock of locks) await lock.release();
              return after;
            }),
          );
          for (const ms of between) expect(ms).toBeGreaterThan(950);
          for (const scope of scopes) expect(await scope.leave()).toMatchObject({ reason: 'overdue' });
          await empty();
        });

        it('gives its lock back as soon as it settles', async () => {
          const key = newKey();
          const body = a.withLock(key, { maxHoldS: 0.2 }, async (lock) => {
            await inTime(new Promise((resolve) => lock.signal.addEventListener('abort', resolve)), 'the news');
          });
          await expect(body).rejects.toMatchObject({ reason: 'overdue' });
          const lock = await inTime(b.acquire(key, { acquireTimeoutS: 20 }), 'the lock');
          await lock.release();
          await empty();
        });
      });
    }

    describe('the same key again, inside its own hold', () => {
      it('is refused at once', async () => {
        const key = newKey();
        await a.withLock(key, async () => {
          await expect(a.acquire(key)).rejects.toBeInstanceOf(NestedLockError);
          await expect(a.acquire([newKey(), key])).rejects.toBeInstanceOf(NestedLockError);
          expect(await a.tryAcquire(key)).toBeNull();
          await expect(a.withLock(key, () => 1)).rejects.toBeInstanceOf(NestedLockError);
        });
        await empty();
      });

      it('joins the lock that is named; the outer release waits for the inner one', async () => {
        const key = newKey();
        let inner: LockHandle | undefined;
        let left = false;
        const outer = a.withLock(key, async (lock) => {
          inner = await a.acquire(key, { onNested: lock });
          expect(inner.token).toBe(lock.token);
          expect(inner.isHeld).toBe(true);
        });
        void outer.then(() => (left = true));
        await until(() => inner, 'the inner hold');
        await pause(20);
        expect(await b.tryAcquire(key)).toBeNull();
        expect(inner!.isHeld).toBe(true);
        expect(await inner!.release()).toBe(true);
        await inTime(outer, 'the outer end');
        expect(left).toBe(true);
        await empty();
      });

      it('waits if wanted, for a task that outlives its parent', async () => {
        const key = newKey();
        let detached: Promise<LockHandle> | undefined;
        await a.withLock(key, async () => {
          detached = a.acquire(key, { onNested: 'wait', acquireTimeoutS: 5 });
          await turn();
        });
        const lock = await inTime(detached!, 'the detached task');
        expect(lock.isHeld).toBe(true);
        await lock.release();
        await empty();
      });

      it('is not the same key with several slots, nor after the release', async () => {
        const key = newKey();
        await a.withLock(`${key}-sem`, { limit: 2 }, async () => {
          const second = await a.acquire(`${key}-sem`, { limit: 2 });
          await second.release();
        });
        let late: Promise<LockHandle> | undefined;
        await a.withLock(key, async () => {
          late = pause(20).then(() => {
            expect(currentLock()).toBeUndefined();
            return a.acquire(key);
          });
        });
        await (await inTime(late!, 'the late task')).release();
        await empty();
      });
    });
  });
}
