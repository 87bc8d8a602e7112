import { strict as assert } from 'node:assert';
import type { Grant, LockBackend } from '../../backends/backend.js';
import { AcquireTimeoutError, UnsupportedError } from '../../common/errors.js';
import { type Case, isError } from './case.js';
import { failure, inTime } from './world.js';

/** Waiting for locks. */
export const WAITS: readonly Case[] = [
  [
    'lets a caller wait, and reports that it is queued',
    async ({ world, a, b }) => {
      const req = world.request();
      const held = await world.take(a, req);
      const waiting = world.enqueue(b, req);
      assert.equal(await inTime(waiting.placed, 'the place'), 'queued');
      await world.release(a, held);
      const grant = await inTime(waiting.grant, 'the grant');
      assert.ok(grant.validFrom + grant.leaseMs > world.now());
      assert.equal(await world.release(b, grant), 'released');
    },
  ],
  [
    'grants a free lock to a waiting acquire',
    async ({ world, a }) => {
      await inTime(world.enqueue(a, world.request()).grant, 'the grant');
    },
  ],
  [
    'serves all waiters, in the order that it guarantees',
    async ({ world, a, b, caps }) => {
      const req = world.request();
      const held = await world.take(a, req);
      const order: number[] = [];
      const all: Promise<void>[] = [];
      for (let i = 0; i < 6; i++) {
        const backend = i % 2 ? b : a;
        const waiting = world.enqueue(backend, req);
        await inTime(waiting.placed, 'the place');
        const served = waiting.grant.then(async (grant) => {
          order.push(i);
          assert.equal(await world.release(backend, grant), 'released');
        });
        all.push(served);
      }
      await world.release(a, held);
      await inTime(Promise.all(all), 'all callers');
      if (caps.order === 'strict') assert.deepEqual(order, [0, 1, 2, 3, 4, 5]);
      if (caps.order === 'none') return;
      for (const odd of [0, 1]) {
        const own = order.filter((i) => i % 2 === odd);
        assert.deepEqual(own, [...own].sort());
      }
    },
  ],
  [
    'ends a wait at its deadline, and leaves no lock behind',
    async ({ world, a, b }) => {
      const req = world.request();
      const held = await world.take(a, req);
      const began = world.now();
      const waiting = world.enqueue(b, { ...req, deadline: began + 300 });
      isError(await inTime(failure(waiting.grant), 'the refusal'), AcquireTimeoutError);
      assert.ok(world.now() - began >= 299, 'not before');
      await world.release(a, held);
      await world.takeLater(a, req, 'the lock');
    },
  ],
  [
    'does not call a cancelled waiter again, and leaves no lock behind',
    async ({ world, a, b }) => {
      const req = world.request();
      const held = await world.take(a, req);
      const waiting = world.enqueue(b, req);
      await inTime(waiting.placed, 'the place');
      waiting.cancel();
      waiting.cancel();
      await world.release(a, held);
      await world.takeLater(a, req, 'the lock');
    },
  ],
  [
    'frees a grant that arrives after its caller has cancelled',
    async ({ world, a, b }) => {
      const all = Array.from({ length: 20 }, () => world.request());
      for (const req of all) {
        let given: Grant | undefined;
        const waiting = world.enqueue(a, req);
        void waiting.grant.then((grant) => (given = grant));
        waiting.cancel();
        await Promise.resolve();
        // A grant made before the call returned belongs to the caller.
        if (given) a.abandon(given);
      }
      for (const req of all) await world.takeLater(b, req, 'the lock');
    },
  ],
  [
    'never lets two callers hold one key',
    async ({ world, a, b }) => {
      let holders = 0;
      const req = world.request();
      const work = async (backend: LockBackend): Promise<void> => {
        for (let i = 0; i < 5; i++) {
          const grant = await world.enqueue(backend, req).grant;
          assert.equal(++holders, 1);
          await Promise.resolve();
          holders--;
          assert.equal(await world.release(backend, grant), 'released');
        }
      };
      await inTime(Promise.all([a, b, a, b, a, b].map(work)), 'all turns');
    },
  ],
  [
    'gives each ticket its own place for as long as it is wanted, or declares no tickets',
    async ({ world, a, b, caps }) => {
      const req = { ...world.request(), deadline: Infinity };
      if (!caps.tickets) return assert.throws(() => world.enqueue(a, req, 'ticket'), UnsupportedError);
      const held = await world.take(b, req);
      const [first, second] = [world.enqueue(a, req, 'ticket'), world.enqueue(a, req, 'ticket')];
      assert.equal(await inTime(first.placed, 'the first place'), 'queued');
      assert.equal(await inTime(second.placed, 'the second place'), 'queued');
      first.cancel();
      await world.release(b, held);
      assert.equal(await world.release(a, await inTime(second.grant, 'the grant')), 'released');
    },
  ],
];
