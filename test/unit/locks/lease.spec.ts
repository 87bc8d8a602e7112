import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Proof } from '../../../lib/backends/backend.js';
import { Alarms } from '../../../lib/common/alarms.js';
import { LockLostError, LockUnavailableError, type LossReason } from '../../../lib/common/errors.js';
import { guardOf } from '../../../lib/common/guard.js';
import type { Ms } from '../../../lib/common/system.js';
import { Lease, type LeaseHolder } from '../../../lib/locks/lease.js';
import { FakeClock, settlePromises } from '../../support/fake-clock.js';
import { FakeBackend, rejected } from './support/fake-backend.js';

let clock: FakeClock;
let backend: FakeBackend;
let alarms: Alarms;
let told: string[];
let unit: number;

const holder: LeaseHolder = {
  renewed: (leaseMs: Ms) => told.push(`renewed ${leaseMs}`),
  lost: (reason: LossReason) => told.push(`lost ${reason}`),
};

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  backend = new FakeBackend(clock);
  alarms = new Alarms(clock);
  told = [];
  unit = 0;
});

const lease = (leaseMs = 10_000): Lease => {
  const grant = backend.grantFor({ key: 'k', kind: 'lock', limit: 1, leaseMs, deadline: 0 });
  const entropy = { unit: () => unit, fill: () => undefined };
  return new Lease({ backend, clock, entropy, alarms, renewRatio: 0.5 }, grant, leaseMs, holder);
};

const renewals = (): number => backend.log.filter((line) => line.startsWith('renew')).length;

describe('the guard', () => {
  it.each([
    [33_000, 660],
    [1000, 50],
    [500, 50],
    [200, 20],
    [10, 1],
  ])('of %p ms is %p', (term, guard) => {
    expect(guardOf(term)).toBe(guard);
  });
});

describe('a lease', () => {
  it('is sure until its end less the guard', () => {
    const l = lease();
    expect(l.sureUntil).toBe(1000 + 10_000 - 200);
    expect(l.isHeld).toBe(true);
    expect(l.remainingMs).toBe(9800);
  });

  it('is never surer than its owner', () => {
    backend.owner.proven = 3000;
    const l = lease();
    expect(l.sureUntil).toBe(3000);
    expect(l.remainingMs).toBe(2000);
  });

  it('is renewed at half of its time, with the same lease, for ever', async () => {
    const l = lease();
    await clock.advanceAsync(4999);
    expect(backend.log).toEqual([]);
    await clock.advanceAsync(1);
    expect(backend.log).toEqual(['renew 1 10000']);
    await clock.advanceAsync(50_000);
    expect(renewals()).toBe(11);
    expect(l.isHeld).toBe(true);
    expect(told.filter((line) => line.startsWith('lost'))).toEqual([]);
    expect(clock.pendingTimers).toBe(1);
  });

  it('is renewed earlier by up to a tenth, never later', async () => {
    unit = 0.999;
    lease();
    await clock.advanceAsync(4499);
    expect(renewals()).toBe(0);
    await clock.advanceAsync(2);
    expect(renewals()).toBe(1);
  });

  it('is lost at the end of its time, after one look at the sockets', async () => {
    backend.onRenew = () => new Promise(() => undefined);
    const l = lease();
    await clock.advanceAsync(9799);
    expect(l.isHeld).toBe(true);
    await clock.advanceAsync(1);
    expect(l.isHeld).toBe(false);
    expect(told).toEqual(['lost expired']);
    expect(backend.log).toEqual(['renew 1 10000', 'abandon 1']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('reads as over at once when the process has stalled, and is not lost if the proof lay in the buffers', async () => {
    let answer!: (proof: Proof) => void;
    backend.onRenew = () => new Promise((resolve) => (answer = resolve));
    const l = lease();
    await clock.advanceAsync(5000);
    clock.stall(20_000);
    expect(l.isHeld).toBe(false);
    expect(l.remainingMs).toBe(0);
    // The timer rings first; what had arrived is read before the judgement.
    const { afterPoll } = clock;
    clock.afterPoll = (fn) => {
      answer({ validFrom: clock.now() - 100, leaseMs: 10_000 });
      void settlePromises().then(fn);
    };
    await clock.advanceAsync(0);
    await settlePromises();
    clock.afterPoll = afterPoll;
    expect(l.isHeld).toBe(true);
    expect(told).toEqual(['renewed 10000']);
  });

  it('says that a silent connection was the reason', async () => {
    backend.owner.proven = 3000;
    lease();
    await clock.advanceAsync(2000);
    expect(told).toEqual(['lost disconnected']);
  });

  it('goes on when the owner has spoken meanwhile', async () => {
    backend.owner.proven = 3000;
    const l = lease();
    await clock.advanceAsync(1500);
    backend.owner.proven = 20_000;
    await clock.advanceAsync(1000);
    expect(l.isHeld).toBe(true);
    expect(told).toEqual([]);
  });

  it('is lost in the turn in which its owner is, and abandoned', () => {
    const l = lease();
    backend.owner.cut('draining');
    expect(told).toEqual(['lost draining']);
    expect(l.isHeld).toBe(false);
    expect(backend.log).toEqual(['abandon 1']);
    expect(backend.owner.callbacks.size).toBe(0);
    expect(alarms.size).toBe(0);
    backend.owner.cut();
    expect(told).toHaveLength(1);
  });

  it('is lost when the server says so', async () => {
    backend.onRenew = async () => Promise.reject(rejected('k'));
    lease();
    await clock.advanceAsync(5000);
    expect(told).toEqual(['lost rejected']);
  });

  it('tries failed renewals again, sooner and sooner, as long as it is sure', async () => {
    const at: number[] = [];
    backend.onRenew = async () => {
      at.push(clock.now() - 1000);
      throw new LockUnavailableError('away');
    };
    lease();
    await clock.advanceAsync(9000);
    expect(at.slice(0, 3)).toEqual([5000, 6200, 7100]);
    backend.onRenew = async (_, leaseMs) => ({ validFrom: clock.now(), leaseMs });
    await clock.advanceAsync(20_000);
    expect(told).not.toContain('lost expired');
    expect(told).toContain('renewed 10000');
  });

  it('never renews twice at a time', async () => {
    let running = 0;
    backend.onRenew = async (_, leaseMs) => {
      expect(++running).toBe(1);
      await settlePromises();
      running--;
      return { validFrom: clock.now(), leaseMs };
    };
    const l = lease();
    await Promise.all([l.renew(), l.renew(20_000), l.renew()]);
    expect(backend.log).toEqual(['renew 1 10000', 'renew 1 20000', 'renew 1 20000']);
    expect(l.remainingMs).toBe(20_000 - 400);
  });

  it('keeps the lease that a caller renewed it with', async () => {
    const l = lease();
    await l.renew(2000);
    await clock.advanceAsync(1000);
    expect(backend.log).toEqual(['renew 1 2000', 'renew 1 2000']);
  });

  it('fails the caller of a renewal, and lives on', async () => {
    const l = lease();
    backend.onRenew = async () => Promise.reject(new LockUnavailableError('away'));
    await expect(l.renew()).rejects.toThrow('away');
    expect(l.isHeld).toBe(true);
  });

  it('ignores everything once it has been ended', async () => {
    let answer!: (error: Error) => void;
    backend.onRenew = () => new Promise((_, reject) => (answer = reject));
    const l = lease();
    await clock.advanceAsync(5000);
    l.end();
    l.end();
    answer(rejected('k'));
    await clock.advanceAsync(100_000);
    backend.owner.cut();
    l.lose('expired');
    expect(told).toEqual([]);
    expect(backend.log).toEqual(['renew 1 10000']);
    expect(l.ended).toBe(true);
    expect(await l.check()).toBe(false);
    await expect(l.renew()).rejects.toBeInstanceOf(LockLostError);
  });

  it('is checked after a look at the sockets when it looks over', async () => {
    const l = lease();
    expect(l.check()).toBe(true);
    clock.stall(20_000);
    const checked = l.check();
    await clock.advanceAsync(0);
    expect(await checked).toBe(false);
    expect(told).toEqual(['lost expired']);
  });
});
