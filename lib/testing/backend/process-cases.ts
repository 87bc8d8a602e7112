import { strict as assert } from 'node:assert';
import type { Grant, LockBackend } from '../../backends/backend.js';
import { LockError } from '../../common/errors.js';
import { LockClient } from '../../locks/lock-client.js';
import { type Case, isError } from './case.js';
import { failure, inTime, until } from './world.js';

const has = (backend: LockBackend, method: string): boolean => typeof Reflect.get(backend, method) === 'function';

/** Queries, signals and closing. */
export const PROCESSES: readonly Case[] = [
  [
    'reports whether a key is locked or a slot of a semaphore is held, or declares that it cannot',
    async ({ world, a, b, caps }) => {
      if (caps.inspect === 'none' || !has(a, 'isLocked')) {
        return assert.deepEqual([caps.inspect, has(a, 'isLocked')], ['none', false]);
      }
      const req = world.request();
      assert.equal(await b.isLocked!(req.key, 'lock'), false);
      const grant = await world.take(a, req);
      assert.equal(await b.isLocked!(req.key, 'lock'), true);
      await world.release(a, grant);
      await until(async () => !(await b.isLocked!(req.key, 'lock')), 'the key to be free');
      if (!caps.semaphores) return;
      const slot = world.request({ kind: 'sem', limit: 2 });
      assert.equal(await b.isLocked!(slot.key, 'sem'), false);
      const one = await world.take(a, slot);
      assert.equal(await b.isLocked!(slot.key, 'sem'), true);
      await world.release(a, one);
      await until(async () => !(await b.isLocked!(slot.key, 'sem')), 'the slot to be free');
    },
  ],
  [
    'answers a ping, and returns stats for each server',
    async ({ a }) => {
      await inTime(a.ping(), 'the answer');
      assert.ok((await inTime(a.stats(), 'the stats')).length > 0);
    },
  ],
  [
    'supports signals, or has no methods for them',
    async ({ a, caps }) => {
      const methods = ['publish', 'subscribe'].filter((name) => has(a, name));
      assert.deepEqual(methods, caps.signals ? ['publish', 'subscribe'] : []);
    },
  ],
  [
    'frees its locks on close, or when their leases end',
    async ({ world, b, caps }) => {
      const c = await world.process();
      const req = world.request({ leaseMs: world.shortLease(caps) });
      await world.take(c, req);
      await inTime(c.close(1000), 'the close');
      await world.takeLater(b, req, 'the lock');
    },
  ],
  [
    'fails with errors of this package after close, and leaves no caller waiting',
    async ({ world, a }) => {
      const c = await world.process();
      const req = world.request();
      const held = await world.take(a, req);
      const own = await world.take(c, world.request());
      const waiting = world.enqueue(c, req);
      await inTime(waiting.placed, 'the place');
      await inTime(c.close(1000), 'the close');
      await inTime(c.close(1000), 'the second close');
      isError(await inTime(failure(waiting.grant), 'the end of the wait'), LockError);
      isError(await inTime(failure(c.tryAcquire(world.request())), 'the refusal of a try'), LockError);
      const enqueue = async (): Promise<Grant> => world.enqueue(c, world.request()).grant;
      isError(await inTime(failure(enqueue()), 'the refusal of a wait'), LockError);
      isError(await inTime(failure(c.renew(own, 10_000)), 'the refusal of a renewal'), LockError);
      if ('renewAll' in c) isError((await world.renewAll(c, [[own, 10_000]]))[0], LockError);
      c.abandon(own);
      await world.release(c, own);
      await world.release(a, held);
      await world.takeLater(a, req, 'the lock');
    },
  ],
  [
    'works for every client of a factory, whichever of them has been closed',
    async ({ world }) => {
      const backend = world.factory;
      const [first, second] = [new LockClient({ backend }), new LockClient({ backend })];
      try {
        assert.ok((await first.acquire(world.key())).isHeld);
        const lock = await second.acquire(world.key());
        await first.close();
        assert.ok(lock.isHeld);
        assert.equal(await lock.release(), true);
        const third = new LockClient({ backend });
        assert.equal(await third.withLock(world.key(), () => 'done'), 'done');
        await third.close();
      } finally {
        await Promise.all([first.close(), second.close()]);
      }
    },
  ],
];
