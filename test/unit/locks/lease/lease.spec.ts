import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Proof } from '../../../../lib/backends/backend.js';
import { LockLostError, LockUnavailableError, ServerDrainingError } from '../../../../lib/common/errors.js';
import { safetyMargin } from '../../../../lib/common/safety-margin.js';
import type { Ms } from '../../../../lib/common/system.js';
import type { Lease, LeaseHolder } from '../../../../lib/locks/lease/lease.js';
import type { Renewals } from '../../../../lib/locks/lease/lease-host.js';
import { isOver } from '../../../../lib/locks/acquire/acquire-attempts.js';
import { LeaseKeeper } from '../../../../lib/locks/lease/lease-keeper.js';
import { RENEWALS_PER_TURN } from '../../../../lib/locks/lease/renewal-queue.js';
import { transitionTable } from '../../../support/transition-table.js';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';
import { FakeBackend, rejected } from '../support/fake-backend.js';

let clock: FakeClock;
let backend: FakeBackend;
let keeper: LeaseKeeper;
let told: string[];
let unit: number;

const holder: LeaseHolder = {
  renewed: (leaseMs: Ms) => told.push(`renewed ${leaseMs}`),
  lost: (_, reason) => told.push(`lost ${reason}`),
  draining: (error) => told.push(`draining ${error.server}`),
};

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  backend = new FakeBackend(clock);
  keeper = new LeaseKeeper(backend, clock, { unit: () => unit, fill: () => undefined }, 0.5);
  told = [];
  unit = 0;
});

const lease = (leaseMs = 10_000, renewals: Renewals = 'auto'): Lease => {
  const grant = backend.grantFor({ key: 'k', kind: 'lock', limit: 1, leaseMs, deadline: 0 });
  const kept = keeper.keep(grant, leaseMs, renewals);
  kept.handTo(holder, renewals);
  return kept;
};

const renewals = (): number => backend.log.filter((line) => line.startsWith('renew')).length;

describe('the safety margin', () => {
  it.each([
    [33_000, 660],
    [1000, 50],
    [500, 50],
    [200, 20],
    [10, 1],
    [Infinity, Number.MAX_VALUE],
  ])('of %p ms is %p', (term, guard) => {
    expect(safetyMargin(term)).toBe(guard);
  });
});

describe('a lease', () => {
  it('without end has a number of ms left', () => {
    const grant = backend.grantFor({ key: 'k', kind: 'lock', limit: 1, leaseMs: Infinity, deadline: 0 });
    const kept = keeper.keep(grant, 10_000, 'auto');
    expect([kept.remainingMs, kept.isHeld, isOver(grant, clock.now())]).toEqual([Infinity, true, false]);
  });

  it.each([NaN, undefined])('of a grant that says %p ms is none; the grant is given up', (leaseMs) => {
    const grant = backend.grantFor({ key: 'k', kind: 'lock', limit: 1, leaseMs: 0, deadline: 0 });
    const nameless = { ...grant, leaseMs: leaseMs as number };
    expect(() => keeper.keep(nameless, 10_000, 'auto')).toThrow('validFrom and leaseMs must be numbers');
    expect([backend.log, isOver(nameless, clock.now())]).toEqual([['abandon 1'], true]);
  });

  it('is sure until its end less the safety margin', () => {
    const l = lease();
    expect(l.sureUntil).toBe(1000 + 10_000 - 200);
    expect(l.isHeld).toBe(true);
    expect(l.remainingMs).toBe(9800);
  });

  describe('of a grant that is to have a longer lease', () => {
    const short = (wantedMs = 33_000): Lease => {
      const grant = backend.grantFor({ key: 'k', kind: 'lock', limit: 1, leaseMs: 3000, deadline: 0 });
      const kept = keeper.keep({ ...grant, wantedMs }, 33_000, 'auto');
      kept.handTo(holder, 'auto');
      return kept;
    };

    it('is renewed to the longer lease before a caller gets it; until the answer, only the granted lease counts', async () => {
      let answer!: (proof: Proof) => void;
      backend.onRenew = () => new Promise((resolve) => (answer = resolve));
      const l = short();
      expect(backend.log).toEqual(['renew 1 33000']);
      expect(l.sureUntil).toBe(1000 + 3000 - 60);
      answer({ validFrom: 1000, leaseMs: 33_000 });
      await settlePromises();
      expect(l.sureUntil).toBe(1000 + 33_000 - 660);
      expect(told).toEqual([]);
      await clock.advanceAsync(16_500);
      expect(backend.log).toEqual(['renew 1 33000', 'renew 1 33000']);
    });

    it('is lost with the lease that was granted when no answer comes', async () => {
      backend.onRenew = () => new Promise(() => undefined);
      const l = short();
      await clock.advanceAsync(2939);
      expect(l.isHeld).toBe(true);
      await clock.advanceAsync(1);
      expect([l.isHeld, told]).toEqual([false, ['lost expired']]);
    });

    it('is held after a stall that was longer than that when the answer lay in the buffers', async () => {
      let answer!: (proof: Proof) => void;
      backend.onRenew = () => new Promise((resolve) => (answer = resolve));
      const l = short();
      clock.stall(8000);
      expect(l.isHeld).toBe(false);
      // The timer rings first; what had arrived is read before the judgement.
      clock.afterPoll = (fn) => {
        answer({ validFrom: 1000, leaseMs: 33_000 });
        void settlePromises().then(fn);
      };
      await clock.advanceAsync(0);
      await settlePromises();
      expect([l.isHeld, told]).toEqual([true, []]);
    });

    it('is renewed again, sooner and sooner, when that fails', async () => {
      backend.onRenew = () => Promise.reject(new LockUnavailableError('no answer'));
      short();
      await clock.advanceAsync(2900);
      expect(renewals()).toBeGreaterThan(3);
      expect(told).toEqual([]);
    });

    it('may be as short as a second from the request on where the default of the server is wanted', async () => {
      let answer!: (proof: Proof) => void;
      backend.onRenew = () => new Promise((resolve) => (answer = resolve));
      const l = short(0);
      expect(backend.log).toEqual(['renew 1 0']);
      expect(l.sureUntil).toBe(1000 + 1000 - 50);
      answer({ validFrom: 1000, leaseMs: 20_000 });
      await settlePromises();
      expect(l.sureUntil).toBe(1000 + 20_000 - 400);
      await clock.advanceAsync(10_000);
      expect(backend.log.at(-1)).toBe('renew 1 20000');
    });
  });

  it('counts as shortened from the request on, because the answer may get lost', async () => {
    const l = lease();
    await clock.advanceAsync(2000);
    backend.onRenew = () => new Promise(() => undefined);
    void l.renew(1000).catch(() => undefined);
    await settlePromises();
    expect(l.remainingMs).toBe(1000 - 60);
    await clock.advanceAsync(1000);
    expect(told).toEqual(['lost expired']);
  });

  it('is never sure for longer than its owner', () => {
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

  it('is lost when its time is over, after one look at the sockets', async () => {
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

  it('is renewed at its time also when its alarm was set for the silence of its owner', async () => {
    backend.owner.proven = 3000;
    lease();
    await clock.advanceAsync(1500);
    backend.owner.proven = 20_000;
    await clock.advanceAsync(3499);
    expect(renewals()).toBe(0);
    await clock.advanceAsync(1);
    expect(renewals()).toBe(1);
  });

  it('that nobody has taken over yet is renewed, drained and lost like any other', async () => {
    const grant = backend.grantFor({ key: 'k', kind: 'lock', limit: 1, leaseMs: 10_000, deadline: 0 });
    keeper.keep(grant, 10_000, 'auto');
    await clock.advanceAsync(5000);
    keeper.drain('fake');
    backend.owner.cut();
    expect(backend.log).toEqual(['renew 1 10000', 'abandon 1']);
  });

  it('draws the time of its renewal once, also when it is handed over', () => {
    let draws = 0;
    keeper = new LeaseKeeper(backend, clock, { unit: () => ++draws * 0, fill: () => undefined }, 0.5);
    lease();
    expect(draws).toBe(1);
  });

  it('is not renewed a second time by a doubt that comes while it is renewed', async () => {
    backend.onRenew = () => new Promise(() => undefined);
    lease();
    await clock.advanceAsync(5000);
    keeper.hurry();
    await clock.advanceAsync(0);
    expect(renewals()).toBe(1);
  });

  it('tells its holder of the loss before it tells the server, which may give the lock to somebody else', () => {
    const order: string[] = [];
    backend.abandon = () => order.push('server');
    lease().handTo({ renewed: () => undefined, draining: () => undefined, lost: () => order.push('holder') }, 'auto');
    backend.owner.cut();
    expect(order).toEqual(['holder', 'server']);
  });

  it('is lost, and abandoned, in the turn in which its owner ends', () => {
    const l = lease();
    backend.owner.cut('draining');
    expect(told).toEqual(['lost draining']);
    expect(l.isHeld).toBe(false);
    expect(backend.log).toEqual(['abandon 1']);
    expect(backend.owner.callbacks.size).toBe(0);
    expect(keeper.times.size).toBe(0);
    backend.owner.cut();
    expect(told).toHaveLength(1);
  });

  it('is lost with its owner also when another of that owner has ended before', () => {
    const [first, second] = [lease(), lease()];
    first.end();
    backend.owner.cut();
    expect(second.isHeld).toBe(false);
    expect(told).toEqual(['lost disconnected']);
    expect(backend.log).toEqual(['abandon 2']);
  });

  it('asks for what its holder wants, or else for as long as the server granted', async () => {
    const grant = (leaseMs: number) => backend.grantFor({ key: 'k', kind: 'lock', limit: 1, leaseMs, deadline: 0 });
    keeper.keep(grant(30_000), 0, 'auto');
    keeper.keep(grant(30_000), 20_000, 'auto');
    await clock.advanceAsync(15_000);
    expect(backend.log).toEqual(['renew 1 30000', 'renew 2 20000']);
  });

  it('is lost when the server says so', async () => {
    backend.onRenew = async () => Promise.reject(rejected('k'));
    lease();
    await clock.advanceAsync(5000);
    expect(told).toEqual(['lost rejected']);
  });

  it('retries failed renewals, sooner and sooner, as long as it is sure', async () => {
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
    await expect(l.renew()).rejects.toMatchObject({ key: 'k', reason: 'expired' });
  });

  it('that has ended sets no alarm when its renewal fails afterwards', async () => {
    let answer!: (error: Error) => void;
    backend.onRenew = () => new Promise((_, reject) => (answer = reject));
    const l = lease();
    await clock.advanceAsync(5000);
    l.end();
    answer(new LockUnavailableError('away'));
    await settlePromises();
    expect(keeper.times.size).toBe(0);
  });

  it.each(['released', 'lost'])('ignores an answer that comes when it has been %s', async (how) => {
    let answer!: (proof: Proof) => void;
    backend.onRenew = () => new Promise((resolve) => (answer = resolve));
    const l = lease();
    await clock.advanceAsync(5000);
    if (how === 'released') l.end();
    else l.lose('expired');
    told.length = 0;
    answer({ validFrom: clock.now(), leaseMs: 10_000 });
    await settlePromises();
    expect(told).toEqual([]);
    expect(l.isHeld).toBe(false);
    expect(keeper.times.size).toBe(0);
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

  it('that looked over is alive if its owner has spoken by then', async () => {
    backend.owner.proven = 3000;
    const l = lease();
    clock.stall(2000);
    const checked = l.check();
    backend.owner.proven = 20_000;
    await clock.advanceAsync(0);
    expect(await checked).toBe(true);
    expect(told).toEqual([]);
  });

  it('that is ended while it is in doubt is not alive, and sets no alarm', async () => {
    backend.owner.proven = 3000;
    const l = lease();
    clock.stall(2000);
    const checked = l.check();
    backend.owner.proven = 20_000;
    l.end();
    await clock.advanceAsync(0);
    expect(await checked).toBe(false);
    expect(keeper.times.size).toBe(0);
  });

  it.each([10_800, 11_000])('that ends before its owner is known to be alive at %d expires', async (proven) => {
    backend.owner.proven = proven;
    backend.onRenew = () => new Promise(() => undefined);
    lease();
    await clock.advanceAsync(9800);
    expect(told).toEqual(['lost expired']);
  });

  it('is renewed by nobody but its caller when that is wanted, until it is over', async () => {
    const l = lease(10_000, 'manual');
    await clock.advanceAsync(9000);
    expect(backend.log).toEqual([]);
    await l.renew();
    await clock.advanceAsync(9799);
    expect(l.isHeld).toBe(true);
    expect(renewals()).toBe(1);
    keeper.hurry();
    await clock.advanceAsync(1);
    expect(renewals()).toBe(1);
    expect(told).toEqual(['renewed 10000', 'lost expired']);
  });

  it('takes a failed renewal of its caller for no reason to try again by itself', async () => {
    const l = lease(10_000, 'manual');
    backend.onRenew = async () => Promise.reject(new LockUnavailableError('away'));
    await expect(l.renew()).rejects.toThrow('away');
    await clock.advanceAsync(9000);
    expect(renewals()).toBe(1);
  });

  it('is renewed at once when the backend doubts it, or all', async () => {
    const [a, b] = [lease(), lease()];
    backend.doubt(b.grant);
    await clock.advanceAsync(0);
    expect(backend.log).toEqual(['renew 2 10000']);
    backend.doubt(a.grant);
    backend.doubt();
    await clock.advanceAsync(0);
    expect(backend.log).toEqual(['renew 2 10000', 'renew 1 10000', 'renew 2 10000']);
    a.end();
    backend.doubt(a.grant);
    await clock.advanceAsync(0);
    expect(renewals()).toBe(3);
    expect(b.isHeld).toBe(true);
    b.end();
    backend.doubt(b.grant);
    await clock.advanceAsync(0);
    expect(renewals()).toBe(3);
  });
});

describe('a lease on a server that drains (rule 9)', () => {
  const drain = () => keeper.drain('fake');

  it('is no longer renewed, and lasts until its time is over', async () => {
    const l = lease();
    keeper.drain('other');
    expect(told).toEqual([]);
    drain();
    drain();
    expect(told).toEqual(['draining fake']);
    keeper.hurry();
    await clock.advanceAsync(9799);
    expect(backend.log).toEqual([]);
    expect(l.isHeld).toBe(true);
    await expect(l.renew()).rejects.toBeInstanceOf(ServerDrainingError);
    await clock.advanceAsync(1);
    expect(l.isHeld).toBe(false);
    expect(told).toEqual(['draining fake', 'lost draining']);
  });

  it('ends when its connection does, for that reason', () => {
    const l = lease();
    drain();
    backend.owner.cut('disconnected');
    expect(told).toEqual(['draining fake', 'lost draining']);
    expect(l.isHeld).toBe(false);
  });

  it('sends no renewal that was waiting for its turn', async () => {
    for (let i = 0; i <= RENEWALS_PER_TURN; i++) lease();
    keeper.hurry();
    clock.advance(0);
    expect(renewals()).toBe(RENEWALS_PER_TURN);
    drain();
    await clock.advanceAsync(0);
    expect(renewals()).toBe(RENEWALS_PER_TURN);
  });

  it('says so to who takes it over later', () => {
    const l = lease();
    drain();
    told = [];
    l.handTo(holder, 'auto');
    expect(told).toEqual(['draining fake']);
  });
});

describe('a lease on a machine that sleeps (rule 13)', () => {
  it('is over at the first look after a sleep that was longer than the rest of its time', async () => {
    const l = lease();
    await clock.advanceAsync(1000);
    expect(l.isHeld).toBe(true);
    // The monotonic clock stood still.
    clock.uptimeOffset += 9000;
    expect(l.isHeld).toBe(false);
    expect(l.remainingMs).toBe(0);
    await clock.advanceAsync(0);
    expect(told).toEqual(['lost expired']);
  });

  it('has less left after a shorter one, and asks at once', async () => {
    const l = lease();
    clock.advance(1);
    clock.uptimeOffset += 4000;
    expect(l.remainingMs).toBe(5799);
    await clock.advanceAsync(0);
    expect(renewals()).toBe(1);
    expect(l.remainingMs).toBe(9800);
    expect(told).toEqual(['renewed 10000']);
  });

  it('is renewed so much sooner when it is handed over after the sleep', async () => {
    const l = lease(10_000, 'manual');
    clock.advance(1);
    clock.uptimeOffset += 2000;
    keeper.watch.sample();
    l.handTo(holder, 'auto');
    await clock.advanceAsync(2998);
    expect(renewals()).toBe(0);
    await clock.advanceAsync(1);
    expect(renewals()).toBe(1);
  });

  it('notices the sleep by itself when it is due', async () => {
    lease();
    clock.uptimeOffset += 20_000;
    await clock.advanceAsync(5000);
    expect(told).toEqual(['lost expired']);
    expect(renewals()).toBe(0);
  });

  it('counts the sleep for the silence of the connection too', () => {
    backend.owner.proven = 5000;
    const l = lease(100_000);
    clock.advance(1);
    clock.uptimeOffset += 4500;
    expect(l.isHeld).toBe(false);
  });

  it('does not take a renewal that was sent before the sleep for proof of after it', async () => {
    let answer!: (proof: Proof) => void;
    backend.onRenew = () => new Promise((resolve) => (answer = resolve));
    const l = lease();
    await clock.advanceAsync(5000);
    const validFrom = clock.now();
    clock.advance(1);
    clock.uptimeOffset += 60_000;
    answer({ validFrom, leaseMs: 10_000 });
    await settlePromises();
    expect(l.isHeld).toBe(false);
  });

  it('takes what is sent after the sleep for proof', async () => {
    clock.advance(100);
    clock.uptimeOffset += 60_000;
    // Every sender looks first.
    keeper.watch.sampleIfStale();
    const l = lease();
    expect(l.isHeld).toBe(true);
    expect(l.remainingMs).toBe(9800);
  });

  it('is renewed, and not lost, when the wall clock is set', async () => {
    const l = lease();
    clock.wallOffset += 3_600_000;
    expect(l.isHeld).toBe(true);
    expect(l.remainingMs).toBe(9800);
    await clock.advanceAsync(0);
    expect(renewals()).toBe(1);
    expect(told).toEqual(['renewed 10000']);
  });

  it('reads the uptime only where it can matter', async () => {
    const l = lease();
    let reads = 0;
    const uptime = clock.uptime.bind(clock);
    clock.uptime = () => {
      reads++;
      return uptime();
    };
    expect(l.isHeld).toBe(true);
    expect(reads).toBe(1);
    clock.stall(9800);
    expect(l.isHeld).toBe(false);
    l.end();
    expect(l.isHeld).toBe(false);
    expect(reads).toBe(1);
  });
});

describe('every event in every state of a lease', () => {
  const { events, rows } = transitionTable(`
          end   lose
    live  ended lost
    ended ended ended
    lost  lost  lost`);
  const ways: Record<string, (l: Lease) => void> = {
    live: () => undefined,
    ended: (l) => l.end(),
    lost: (l) => l.lose('expired'),
  };
  const cases = rows.flatMap(({ state, next }) => events.map((event, at) => [state, event, next[at]!] as const));

  it.each(cases)('%s: %s → %s', (from, event, to) => {
    const l = lease();
    const state = (): unknown => Reflect.get(l, 'state');
    ways[from]!(l);
    expect(state()).toBe(from);
    const before = told.length + backend.log.length;
    if (event === 'end') l.end();
    else l.lose('expired');
    expect(state()).toBe(to);
    // A loss is told once, and its grant abandoned.
    expect(told.length + backend.log.length - before).toBe(from === 'live' && event === 'lose' ? 2 : 0);
    expect(keeper.times.size).toBe(to === 'live' ? 1 : 0);
  });
});

describe('leases that are due at nearly the same time', () => {
  /** Renewals by the time at which they were sent. */
  const sent = (): Map<Ms, number> => {
    const at = new Map<Ms, number>();
    backend.onRenew = async (_, leaseMs) => {
      at.set(clock.now(), (at.get(clock.now()) ?? 0) + 1);
      return { validFrom: clock.now(), leaseMs };
    };
    return at;
  };

  it('are renewed together, with the first of them', async () => {
    const at = sent();
    lease(30_000);
    clock.advance(5);
    lease(30_000);
    clock.advance(60);
    lease(30_000);
    clock.advance(935);
    lease(30_000);
    await clock.advanceAsync(13_999);
    expect([...at]).toEqual([]);
    await clock.advanceAsync(1001);
    expect([...at]).toEqual([
      [16_000, 3],
      [17_000, 1],
    ]);
  });

  it('are renewed in few turns and never later than planned, although each was planned for a time of its own', async () => {
    const plans = Array.from({ length: 1000 }, (_, i) => {
      unit = i / 1000;
      lease(30_000);
      return 1000 + 15_000 * (1 - 0.1 * unit);
    }).sort((a, b) => a - b);
    const at = sent();
    await clock.advanceAsync(15_000);
    const times = [...at].flatMap(([time, count]) => Array.from({ length: count }, () => time));
    expect(times).toHaveLength(1000);
    expect(times.every((time, i) => time <= plans[i]! && plans[i]! - time < 15_000 / 32)).toBe(true);
    expect(at.size).toBeLessThan(10);
  });

  it('are lost each at its own time when their renewals are not answered', async () => {
    const at: Ms[] = [];
    backend.onRenew = () => new Promise(() => undefined);
    for (let i = 0; i < 4; i++) {
      lease(30_000).handTo({ ...holder, lost: () => at.push(clock.now()) }, 'auto');
      clock.advance(5);
    }
    await clock.advanceAsync(40_000);
    expect(at).toEqual([0, 5, 10, 15].map((ms) => 1000 + ms + 29_400));
  });

  it('do not renew one that only its caller renews', async () => {
    const at = sent();
    lease(30_000);
    const own = lease(30_000, 'manual');
    clock.advance(14_400);
    lease(30_000);
    await clock.advanceAsync(14_999);
    expect([at.get(16_000), own.isHeld]).toEqual([1, true]);
    await clock.advanceAsync(1);
    expect([own.isHeld, told.filter((line) => line.startsWith('lost'))]).toEqual([false, ['lost expired']]);
  });

  it('stay in step with their group no longer than until the next renewal', async () => {
    const at = sent();
    const draws = [0, 0, 0.5, 0.9];
    keeper = new LeaseKeeper(backend, clock, { unit: () => draws.shift() ?? 0, fill: () => undefined }, 0.5);
    lease(30_000);
    lease(30_000);
    await clock.advanceAsync(15_000);
    expect([...at.values()]).toEqual([2]);
    await clock.advanceAsync(15_000);
    expect([...at.values()]).toEqual([2, 1, 1]);
  });
});

describe('a renewal', () => {
  it('whose holder throws when it is told is asked for again; nothing is left unhandled', async () => {
    const l = lease();
    const renewed = (): void => {
      throw new Error('broken');
    };
    l.handTo({ ...holder, renewed }, 'auto');
    await clock.advanceAsync(5000);
    expect(renewals()).toBe(1);
    await clock.advanceAsync(2500);
    expect(renewals()).toBe(2);
    expect(l.isHeld).toBe(true);
  });

  it('that costs the lock while it is being sent sets no alarm', async () => {
    backend.onRenew = (grant) => {
      backend.owner.cut();
      return Promise.reject(rejected(grant.req.key));
    };
    lease();
    await clock.advanceAsync(5000);
    expect([told, backend.log]).toEqual([['lost disconnected'], ['renew 1 10000', 'abandon 1']]);
    expect(keeper.times.size).toBe(0);
  });

  it('is under way until it is answered, also when its lease has ended', async () => {
    let answer!: (proof: Proof) => void;
    backend.onRenew = () => new Promise((resolve) => (answer = resolve));
    const l = lease();
    expect(l.underWay).toBeUndefined();
    await clock.advanceAsync(5000);
    const order: string[] = [];
    void l.underWay!.then(() => order.push('answered'));
    l.end();
    await settlePromises();
    order.push('ended');
    answer({ validFrom: clock.now(), leaseMs: 10_000 });
    await settlePromises();
    expect([order, l.underWay]).toEqual([['ended', 'answered'], undefined]);
  });
});

describe('leases that are due together', () => {
  it('are renewed in portions, each in a turn of its own, on one timer', async () => {
    const leases = Array.from({ length: 3500 }, () => lease());
    const portions: number[] = [];
    let turn = 0;
    backend.onRenew = async (_, leaseMs) => {
      portions[turn] = (portions[turn] ?? 0) + 1;
      return { validFrom: clock.now(), leaseMs };
    };
    expect(clock.pendingTimers).toBe(1);
    clock.advance(5000);
    // Nor does one have an alarm of its own while it waits for its turn: only their wheel has.
    expect(keeper.alarms.size).toBe(1);
    for (turn = 1; turn < 6; turn++) await settlePromises();
    expect(portions).toEqual([1000, 1000, 1000, 500]);
    expect(clock.pendingTimers).toBe(1);
    expect(leases.every((l) => l.isHeld)).toBe(true);
  });

  it('do not wait for their portion when somebody renews them or they end', async () => {
    const leases = Array.from({ length: 1003 }, () => lease());
    clock.advance(5000);
    const sent = new Set(backend.log.map((line) => line.split(' ')[1]));
    const [renewed, ended] = leases.filter(({ grant }) => !sent.has(grant.token)) as [Lease, Lease];
    const own = renewed.renew(20_000);
    ended.end();
    await clock.advanceAsync(0);
    await own;
    expect(renewals()).toBe(1002);
    const { token } = renewed.grant;
    expect(backend.log.filter((line) => line.startsWith(`renew ${token} `))).toEqual([`renew ${token} 20000`]);
  });

  it('are declared lost although their portion has not come', async () => {
    for (let i = 0; i < 1001; i++) lease();
    backend.onRenew = () => new Promise(() => undefined);
    clock.endOfTurn = () => undefined;
    await clock.advanceAsync(9800);
    expect(told.filter((line) => line === 'lost expired')).toHaveLength(1001);
    expect(keeper.times.size).toBe(0);
  });
});
