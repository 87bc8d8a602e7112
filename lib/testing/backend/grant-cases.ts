import { strict as assert } from 'node:assert';
import type { AcquireRequest, Grant, Proof } from '../../backends/backend.js';
import { LimitMismatchError, LockLostError, UnsupportedError } from '../../common/errors.js';
import { type Case, isError } from './case.js';
import { failure, inTime } from './world.js';

/** The longest key to test with, if the backend takes longer ones. */
const LONG_KEY = 70_000;

/** Acquiring, renewing and releasing. */
export const GRANTS: readonly Case[] = [
  [
    'grants a free lock, with proof that starts before the reply',
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
    'refuses a held lock, in the same and in another process, and grants it after its release',
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
    'applies a default lease if none is requested',
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
    'grants its minimum lease if a shorter one is requested',
    async ({ world, a, b, caps }) => {
      const req = world.request({ leaseMs: Math.max(caps.minLeaseMs / 2, 0.5) });
      const grant = await world.take(a, req);
      assert.ok(grant.leaseMs >= caps.minLeaseMs, `got ${grant.leaseMs}`);
      // It is held for as long as the grant says.
      const again = await b.tryAcquire(req);
      assert.ok(again === null || world.now() >= grant.validFrom + grant.leaseMs);
    },
  ],
  [
    'frees a lock when its lease ends, and refuses to renew it',
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
    'renews with the requested lease',
    async ({ world, a }) => {
      const grant = await world.take(a, world.request());
      const before = world.now();
      const proof = await inTime(a.renew(grant, 60_000), 'the proof');
      assert.ok(Math.abs(proof.leaseMs - 60_000) < 1, `a lease of ${proof.leaseMs} ms`);
      assert.ok(proof.validFrom >= before && proof.validFrom <= world.now(), 'validFrom');
    },
  ],
  [
    'renews many at once like one by one, or has no method for it',
    async ({ world, a, b, caps }) => {
      if (!('renewAll' in a)) return;
      const kinds: Partial<AcquireRequest>[] = [
        {},
        {},
        {},
        ...(caps.semaphores ? [{ kind: 'sem', limit: 2 } as const] : []),
      ];
      const grants: Grant[] = [];
      for (const kind of kinds) grants.push(await world.take(a, world.request(kind)));
      const gone = await world.take(a, world.request());
      await world.release(a, gone);
      const before = world.now();
      const [lost, ...proofs] = await world.renewAll(a, [
        [gone, 60_000],
        ...grants.map((grant, i) => [grant, 60_000 + 10_000 * i] as const),
      ]);
      isError(lost, LockLostError);
      (proofs as Proof[]).forEach((proof, i) => {
        assert.ok(Math.abs(proof.leaseMs - 60_000 - 10_000 * i) < 1, `a lease of ${proof.leaseMs} ms`);
        assert.ok(proof.validFrom >= before && proof.validFrom <= world.now(), 'validFrom');
      });
      assert.equal(await b.tryAcquire(grants[0]!.req), null);
      const [proof] = await world.renewAll(a, [[grants[0]!, Math.max(caps.minLeaseMs, caps.leaseUnitMs, 50)]]);
      await world.takeLater(b, grants[0]!.req, 'the end of the lease');
      const { validFrom, leaseMs } = proof as Proof;
      assert.ok(world.now() >= validFrom + leaseMs, 'not before');
    },
  ],
  [
    'reports a released lock as gone',
    async ({ world, a }) => {
      const grant = await world.take(a, world.request());
      assert.equal(await world.release(a, grant), 'released');
      assert.equal(await world.release(a, grant), 'gone');
      isError(await failure(a.renew(grant, 10_000)), LockLostError);
    },
  ],
  [
    'abandons silently, any number of times',
    async ({ world, a, b }) => {
      const req = world.request();
      const grant = await world.take(a, req);
      a.abandon(grant);
      a.abandon(grant);
      await world.takeLater(b, req, 'the lock');
    },
  ],
  [
    'keeps a released lock for the requested time',
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
    'grants as many slots as the limit allows and refuses a different limit, or declares no semaphores',
    async ({ world, a, b, caps }) => {
      const req = world.request({ kind: 'sem', limit: 3 });
      if (!caps.semaphores) return isError(await failure(a.tryAcquire(req)), UnsupportedError);
      await world.take(a, req);
      await world.take(b, req);
      const third = await world.take(a, req);
      assert.equal(await b.tryAcquire(req), null);
      isError(await failure(a.tryAcquire({ ...req, limit: 2 })), LimitMismatchError);
      // A lock of the same name is independent of it.
      await world.take(b, { ...req, kind: 'lock', limit: 1 });
      await world.release(a, third);
      await world.takeLater(b, req, 'the slot');
    },
  ],
  [
    'grants a slot to each of several tries at once, while there are any',
    async ({ world, a, caps }) => {
      if (!caps.semaphores) return;
      const req = world.request({ kind: 'sem', limit: 3 });
      const grants = await Promise.all(Array.from({ length: 4 }, () => a.tryAcquire(req)));
      assert.deepEqual(grants.map((grant) => grant !== null).sort(), [false, true, true, true]);
    },
  ],
  [
    'accepts keys of any characters, up to its maximum length in bytes',
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
