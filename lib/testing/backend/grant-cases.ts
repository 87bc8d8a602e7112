import { strict as assert } from 'node:assert';
import { LimitMismatchError, LockLostError, UnsupportedError } from '../../common/errors.js';
import { type Case, isError } from './case.js';
import { failure, inTime } from './world.js';

/** Longest key that it takes as it is, within reason. */
const LONG_KEY = 70_000;

/** What becomes of a lock that is taken. */
export const GRANTS: readonly Case[] = [
  [
    'gives a free lock, with proof that began before the answer',
    async ({ world, a }) => {
      const before = world.now();
      const req = world.request();
      const grant = await world.take(a, req);
      assert.equal(grant.req, req);
      assert.ok(grant.token.length > 0 && grant.server.length > 0);
      assert.ok(grant.validFrom >= before && grant.validFrom <= world.now(), 'validFrom');
      assert.ok(grant.owner.provenUntil() > world.now(), 'the owner is alive');
      assert.equal(await world.release(a, grant), 'released');
    },
  ],
  [
    'refuses a lock that somebody has, here and elsewhere, and gives it after its release',
    async ({ world, a, b, caps }) => {
      const req = world.request();
      const grant = await world.take(a, req);
      assert.equal(await a.tryAcquire(req), null);
      assert.equal(await b.tryAcquire(req), null);
      await world.release(a, grant);
      const next = await world.takeLater(b, req, 'the lock');
      assert.notEqual(next.token, grant.token);
      if (caps.fence === 'per-key') assert.ok(next.fence! > grant.fence!, 'fences rise');
      else assert.deepEqual([grant.fence, next.fence], [undefined, undefined]);
    },
  ],
  [
    'has a default lease for a request that names none',
    async ({ world, a }) => {
      const { leaseMs } = await world.take(a, world.request({ leaseMs: 0 }));
      assert.ok(leaseMs > 0 && Number.isFinite(leaseMs), `got ${leaseMs}`);
    },
  ],
  [
    'grants leases in its own unit, rounded up',
    async ({ world, a, caps }) => {
      const unit = caps.leaseUnitMs;
      const asked = 10.5 * Math.max(unit, caps.minLeaseMs, 100);
      const { leaseMs } = await world.take(a, world.request({ leaseMs: asked }));
      assert.equal(leaseMs, Math.ceil(asked / unit) * unit);
    },
  ],
  [
    'grants its least lease to who asks for less',
    async ({ world, a, b, caps }) => {
      const req = world.request({ leaseMs: Math.max(caps.minLeaseMs / 2, 0.5) });
      const grant = await world.take(a, req);
      assert.ok(grant.leaseMs >= caps.minLeaseMs, `got ${grant.leaseMs}`);
      // Held as long as it says.
      const again = await b.tryAcquire(req);
      assert.ok(again === null || world.now() >= grant.validFrom + grant.leaseMs);
    },
  ],
  [
    'frees a lock whose lease is over, and tells who renews it',
    async ({ world, a, b, caps }) => {
      const req = world.request({ leaseMs: world.shortLease(caps) });
      const grant = await world.take(a, req);
      await world.takeLater(b, req, 'the end of the lease');
      assert.ok(world.now() >= grant.validFrom + grant.leaseMs, 'not before');
      isError(await failure(a.renew(grant, 10_000)), LockLostError);
      assert.equal(await world.release(a, grant), 'gone');
    },
  ],
  [
    'renews, with the lease it is given',
    async ({ world, a }) => {
      const grant = await world.take(a, world.request());
      const before = world.now();
      const proof = await inTime(a.renew(grant, 60_000), 'the proof');
      assert.ok(Math.abs(proof.leaseMs - 60_000) < 1, `a lease of ${proof.leaseMs} ms`);
      assert.ok(proof.validFrom >= before && proof.validFrom <= world.now(), 'validFrom');
    },
  ],
  [
    'says that a released lock is gone',
    async ({ world, a }) => {
      const grant = await world.take(a, world.request());
      assert.equal(await world.release(a, grant), 'released');
      assert.equal(await world.release(a, grant), 'gone');
      isError(await failure(a.renew(grant, 10_000)), LockLostError);
    },
  ],
  [
    'abandons without a word, as often as it is told to',
    async ({ world, a, b }) => {
      const req = world.request();
      const grant = await world.take(a, req);
      a.abandon(grant);
      a.abandon(grant);
      await world.takeLater(b, req, 'the lock');
    },
  ],
  [
    'keeps a released lock for as long as it is told to',
    async ({ world, a, b, caps }) => {
      const keepMs = Math.max(caps.leaseUnitMs, caps.minLeaseMs, 200);
      const req = world.request();
      const grant = await world.take(a, req);
      const began = world.now();
      assert.equal(await world.release(a, grant, keepMs), 'released');
      const early = await b.tryAcquire(req);
      assert.ok(early === null || world.now() - began >= 0.99 * keepMs);
      if (!early) await world.takeLater(b, req, 'the lock');
      assert.ok(world.now() - began >= 0.99 * keepMs, 'not before');
    },
  ],
  [
    'gives as many slots as the limit says and refuses another limit, or has no semaphores and says so',
    async ({ world, a, b, caps }) => {
      const req = world.request({ kind: 'sem', limit: 3 });
      if (!caps.semaphores) return isError(await failure(a.tryAcquire(req)), UnsupportedError);
      await world.take(a, req);
      await world.take(b, req);
      const third = await world.take(a, req);
      assert.equal(await b.tryAcquire(req), null);
      isError(await failure(a.tryAcquire({ ...req, limit: 2 })), LimitMismatchError);
      // A lock of the same name is another thing.
      await world.take(b, { ...req, kind: 'lock', limit: 1 });
      await world.release(a, third);
      await world.takeLater(b, req, 'the slot');
    },
  ],
  [
    'takes keys of any characters, and as long as it says, as bytes',
    async ({ world, a, b, caps }) => {
      const composed = world.request({ key: `${world.key()}schl\u00fcssel:\u{1f511}` });
      const grant = await world.take(a, composed);
      assert.equal(await b.tryAcquire(composed), null);
      await world.take(b, { ...composed, key: composed.key.normalize('NFD') });
      assert.equal(await world.release(a, grant), 'released');
      const long = world.key().padEnd(Math.min(caps.maxKeyBytes, LONG_KEY), 'k');
      await world.take(a, world.request({ key: long }));
      assert.equal(await b.tryAcquire(world.request({ key: long })), null);
      await world.take(b, world.request({ key: `${long.slice(0, -1)}x` }));
    },
  ],
];
