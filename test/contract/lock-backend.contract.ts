import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import type { AcquireRequest, Capabilities, Grant, LockBackend } from '../../lib/backends/backend.js';
import { AcquireTimeoutError, LimitMismatchError, LockLostError, UnsupportedError } from '../../lib/common/errors.js';
import { systemClock } from '../../lib/common/system.js';
import { stopwatch } from '../support/stopwatch.js';
import { inTime, until } from '../support/until.js';
import { enqueue, release } from '../support/lock-backend.js';

/** A place where locks live, and backends that reach it. */
export interface Fixture {
  /** One more process, so to speak; embedded engines know only one. */
  connect(): LockBackend;
  close(): Promise<void>;
  readonly daemon?: DaemonFacts;
  /** How many of its callers a backend lets stand in the queue of a key. */
  readonly places: number;
}

/** What the daemon behind a backend does that no capability tells. */
export interface DaemonFacts {
  /** Locks and semaphores exclude each other. */
  readonly oneNamespace?: boolean;
  /** Who closes a connection that waits keeps its place until its time is over or it is granted. */
  readonly closeUnnoticed?: boolean;
  /** The end of a connection frees nothing. */
  readonly keepsOnClose?: boolean;
}

interface Entry {
  key: string;
  waiters?: number;
  holders?: number;
  lease_expires_in_s?: number;
}

interface Stats {
  locks: Entry[];
  semaphores: Entry[];
}

const { now } = systemClock;

/** Other tests may use the same daemon. */
const run = `contract-${randomBytes(4).toString('hex')}-`;
let lastKey = 0;
const request = (change: Partial<AcquireRequest> = {}, waitMs = 5000): AcquireRequest => ({
  key: `${run}${++lastKey}`,
  kind: 'lock',
  limit: 1,
  leaseMs: 10_000,
  deadline: now() + waitMs,
  ...change,
});

/**
 * What every backend promises, whatever it stands on.
 * @param pace `quick`: without what takes whole seconds and has been seen on a like backend
 */
export function describeLockBackend(
  name: string,
  setUp: () => Promise<Fixture>,
  pace: 'complete' | 'quick' = 'complete',
): void {
  describe(`a LockBackend: ${name}`, () => {
    let fixture: Fixture;
    let a: LockBackend;
    let b: LockBackend;
    let caps: Capabilities;
    let daemon: DaemonFacts;

    beforeEach(async () => {
      fixture = await setUp();
      daemon = fixture.daemon ?? {};
      a = fixture.connect();
      b = fixture.connect();
      caps = await a.start();
      await b.start();
    });

    afterEach(async () => {
      await Promise.all([a.close(1000), b.close(1000)]);
      await fixture.close();
    });

    const take = async (backend: LockBackend, req: AcquireRequest): Promise<Grant> => {
      const grant = await backend.tryAcquire(req);
      if (!grant) throw new Error(`${req.key} is busy`);
      return grant;
    };

    /** Waiters and holders of all servers. */
    const leftOvers = async (): Promise<{ waiters: number; holders: number }> => {
      const all = (await a.stats()) as Stats[];
      const entries = all
        .flatMap((stats) => [...stats.locks, ...stats.semaphores])
        .filter(({ key }) => key.startsWith(run));
      return {
        waiters: entries.reduce((sum, entry) => sum + (entry.waiters ?? 0), 0),
        holders: entries.reduce(
          (sum, { holders, lease_expires_in_s }) => sum + (holders ?? (lease_expires_in_s! > 0 ? 1 : 0)),
          0,
        ),
      };
    };

    const nothingLeft = async (): Promise<boolean> => {
      const { waiters, holders } = await leftOvers();
      return waiters === 0 && holders === 0;
    };

    it('gives a free lock, with proof that began before the answer', async () => {
      const before = now();
      const req = request();
      const grant = await take(a, req);
      expect(grant.req).toBe(req);
      expect(grant.token).toMatch(/^[0-9a-f]{32}$/);
      expect(grant.leaseMs).toBe(10_000);
      expect(grant.validFrom).toBeGreaterThanOrEqual(before);
      expect(grant.validFrom).toBeLessThanOrEqual(now());
      expect(grant.owner.provenUntil()).toBeGreaterThan(now());
      expect(await release(a, grant)).toBe('released');
    });

    it('refuses a lock that somebody has, here and elsewhere, and gives it after its release', async () => {
      const req = request();
      const grant = await take(a, req);
      expect(await a.tryAcquire(req)).toBeNull();
      expect(await b.tryAcquire(req)).toBeNull();
      await release(a, grant);
      const next = await take(b, req);
      expect(next.token).not.toBe(grant.token);
      if (caps.fence === 'per-key') expect(next.fence!).toBeGreaterThan(grant.fence!);
      else expect(next.fence).toBeUndefined();
    });

    it('uses the default lease of the server for a request that names none', async () => {
      expect((await take(a, request({ leaseMs: 0 }))).leaseMs).toBe(33_000);
    });

    it('grants leases in its own unit', async () => {
      const { leaseMs } = await take(a, request({ leaseMs: 1500 }));
      expect(leaseMs).toBe(Math.ceil(1500 / caps.leaseUnitMs) * caps.leaseUnitMs);
    });

    it('lets a caller wait, and says that it waits', async () => {
      const req = request();
      const held = await take(a, req);
      const pending = enqueue(b, req, 'queue');
      expect(await inTime(pending.placed, 'the place')).toBe('queued');
      await release(a, held);
      const grant = await inTime(pending.grant, 'the grant');
      expect(grant.validFrom + grant.leaseMs).toBeGreaterThan(now());
      expect(await release(b, grant)).toBe('released');
    });

    it('grants what was waited for with the lease that was asked for to a waiter who does not renew', async () => {
      const req = request({ leaseMs: 20_000 });
      const held = await take(a, req);
      const pending = enqueue(b, req, 'queue');
      expect(await inTime(pending.placed, 'the place')).toBe('queued');
      await release(a, held);
      const grant = await inTime(pending.grant, 'the grant');
      expect([grant.leaseMs, grant.wantedMs]).toEqual([20_000, undefined]);
      expect(await release(b, grant)).toBe('released');
    });

    it('grants a free lock to a caller that would wait', async () => {
      const pending = enqueue(a, request(), 'queue');
      await inTime(pending.grant, 'the grant');
      expect(await pending.placed).toBe('acquired');
    });

    it('serves callers in the order in which they came, of a process at least', async () => {
      const CALLERS = 6;
      const req = request({}, 20_000);
      const held = await take(a, req);
      const order: number[] = [];
      const all: Promise<void>[] = [];
      for (let i = 0; i < CALLERS; i++) {
        const backend = i % 2 ? a : b;
        const pending = enqueue(backend, req, 'queue');
        await inTime(pending.placed, 'the place');
        const places =
          Math.min(Math.ceil((i + 1) / 2), fixture.places) + Math.min(Math.floor((i + 1) / 2), fixture.places);
        await until(async () => (await leftOvers()).waiters === places, `waiter ${i}`);
        all.push(
          pending.grant.then(async (grant) => {
            order.push(i);
            expect(await release(backend, grant)).toBe('released');
          }),
        );
      }
      await release(a, held);
      await inTime(Promise.all(all), 'all callers');
      if (fixture.places * 2 >= CALLERS) expect(order).toEqual([0, 1, 2, 3, 4, 5]);
      expect(order.filter((i) => i % 2 === 0)).toEqual([0, 2, 4]);
      expect(order.filter((i) => i % 2 === 1)).toEqual([1, 3, 5]);
    });

    it('ends a wait at its deadline and leaves nothing behind', async () => {
      const req = request({}, 300);
      const held = await take(a, { ...req, deadline: now() + 5000 });
      const took = stopwatch();
      const began = now();
      const pending = enqueue(b, { ...req, deadline: now() + 300 }, 'queue');
      await expect(inTime(pending.grant, 'the refusal')).rejects.toBeInstanceOf(AcquireTimeoutError);
      expect(took()).toBeLessThan(800);
      expect(now() - began).toBeGreaterThanOrEqual(299);
      await until(async () => (await leftOvers()).waiters === 0, 'the waiter to leave');
      await release(a, held);
      expect((await leftOvers()).holders).toBe(0);
    });

    it('ends a wait when it is told to, with the reason it is given, and leaves nothing behind', async () => {
      const req = request();
      const held = await take(a, req);
      const pending = enqueue(b, req, 'queue');
      await inTime(pending.placed, 'the place');
      const reason = new Error('changed my mind');
      pending.cancel(reason);
      pending.cancel(new Error('again'));
      await expect(pending.grant).rejects.toBe(reason);
      if (!daemon.closeUnnoticed) await until(async () => (await leftOvers()).waiters === 0, 'the waiter to leave');
      await release(a, held);
      await until(nothingLeft, 'nobody to hold it');
    });

    it('frees a grant that comes although it was cancelled', async () => {
      const all = Array.from({ length: 50 }, () => {
        const pending = enqueue(a, request(), 'queue');
        pending.cancel(new Error('at once'));
        // What was granted before the cancellation is the caller's.
        return pending.grant.then(
          (grant) => a.abandon(grant),
          (error: Error) => expect(error.message).toBe('at once'),
        );
      });
      await Promise.all(all);
      await until(async () => (await leftOvers()).holders === 0, 'nobody to hold anything');
    });

    it('renews, with the lease it is given', async () => {
      const grant = await take(a, request());
      const before = now();
      const proof = await a.renew(grant, 60_000);
      expect(proof.leaseMs).toBe(60_000);
      expect(proof.validFrom).toBeGreaterThanOrEqual(before);
    });

    it('says that a released lock is gone', async () => {
      const grant = await take(a, request());
      expect(await release(a, grant)).toBe('released');
      expect(await release(a, grant)).toBe('gone');
      await expect(a.renew(grant, 10_000)).rejects.toBeInstanceOf(LockLostError);
    });

    it('abandons without a word', async () => {
      const req = request();
      const grant = await take(a, req);
      a.abandon(grant);
      await until(async () => (await leftOvers()).holders === 0, 'the lock to be free');
      a.abandon(grant);
      await take(b, req);
    });

    if (pace === 'complete') {
      it('lets a released lock lapse after the time it is to be kept', async () => {
        // Longer than a machine may pause before the next caller asks.
        const keepMs = Math.max(caps.leaseUnitMs, 600);
        const req = request();
        const grant = await take(a, req);
        const began = now();
        expect(await release(a, grant, keepMs)).toBe('released');
        expect(await b.tryAcquire(req)).toBeNull();
        await until(() => b.tryAcquire(req), 'the lock to be free');
        expect(now() - began).toBeGreaterThan(0.99 * keepMs);
      });
    }

    it('gives as many slots as the limit says, and refuses another limit', async () => {
      const req = request({ kind: 'sem', limit: 3 });
      await take(a, req);
      await take(b, req);
      const third = await take(a, req);
      expect(await b.tryAcquire(req)).toBeNull();
      await expect(a.tryAcquire({ ...req, limit: 2 })).rejects.toBeInstanceOf(LimitMismatchError);
      await release(a, third);
      await take(b, req);
    });

    it('keeps locks and semaphores of one name apart, unless the daemon is older than 1.14', async () => {
      const req = request();
      await take(a, req);
      const second = await b.tryAcquire({ ...req, kind: 'sem' });
      if (daemon.oneNamespace) expect(second).toBeNull();
      else expect(second).not.toBeNull();
    });

    it('takes keys of any characters as bytes', async () => {
      const req = request({ key: `${run}schl\u00fcssel:\u{1f511}` });
      const decomposed = request({ key: `${run}schlu\u0308ssel:\u{1f511}` });
      const grant = await take(a, req);
      expect(await b.tryAcquire(req)).toBeNull();
      await take(b, decomposed);
      expect(((await a.stats()) as Stats[]).flatMap((s) => s.locks.map((l) => l.key))).toContain(req.key);
      expect(await release(a, grant)).toBe('released');
    });

    it('frees on close what it holds', async () => {
      const c = fixture.connect();
      if (c === a) return;
      await c.start();
      const req = request();
      await take(c, req);
      await c.close(1000);
      if (daemon.keepsOnClose) expect(await b.tryAcquire(req)).toBeNull();
      else await until(() => b.tryAcquire(req), 'the lock to be free');
    });

    it('never lets two hold one key', async () => {
      let holders = 0;
      let turns = 0;
      const req = request({}, 20_000);
      const work = async (backend: LockBackend): Promise<void> => {
        for (let i = 0; i < 10; i++) {
          const grant = await enqueue(backend, req, 'queue').grant;
          expect(++holders).toBe(1);
          await new Promise((resolve) => setImmediate(resolve));
          holders--;
          turns++;
          expect(await release(backend, grant)).toBe('released');
        }
      };
      await inTime(Promise.all([a, b, a, b, a, b].map(work)), 'all turns', 20_000);
      expect(turns).toBe(60);
      expect(await leftOvers()).toEqual({ waiters: 0, holders: 0 });
    });

    it('gives each ticket a place of its own, at once and for as long as wanted, or refuses tickets', async () => {
      const req = { ...request(), deadline: Infinity };
      if (!caps.tickets) {
        expect(() => enqueue(a, req, 'ticket')).toThrow(UnsupportedError);
        return;
      }
      const held = await take(b, req);
      const [first, second] = [enqueue(a, req, 'ticket'), enqueue(a, req, 'ticket')];
      expect(await inTime(first.placed, 'the first place')).toBe('queued');
      expect(await inTime(second.placed, 'the second place')).toBe('queued');
      expect((await leftOvers()).waiters).toBe(2);
      first.cancel(new Error('enough'));
      await expect(first.grant).rejects.toThrow('enough');
      await release(b, held);
      const grant = await inTime(second.grant, 'the grant');
      expect(await release(a, grant)).toBe('released');
      await until(nothingLeft, 'nobody to hold it');
      const free = enqueue(a, req, 'ticket');
      expect(await inTime(free.placed, 'the third place')).toBe('acquired');
      await release(a, await inTime(free.grant, 'the grant'));
      expect((await leftOvers()).holders).toBe(0);
    });

    it('answers a ping', async () => {
      await a.ping();
    });
  });
}
