// How locks behave under the fake timers of any test runner.
import assert from 'node:assert/strict';
import { AcquireTimeoutError, LockLostError } from 'nestjs-dflockd';
import { TestLocks } from 'nestjs-dflockd/testing';

/** The state of a promise. */
function watch(promise) {
  const seen = { state: 'pending' };
  promise.then(
    () => (seen.state = 'resolved'),
    (error) => (seen.state = error.constructor),
  );
  return seen;
}

/** Each scenario gets locks, and a function that advances the fake timers and runs everything that is due. */
export const scenarios = {
  async 'a wait ends at its very time'(locks, advance) {
    await locks.occupy('a');
    for (const seconds of [5, 2.3]) {
      const waiting = watch(locks.service.acquire('a', { acquireTimeoutS: seconds }));
      await advance(seconds * 1000 - 1);
      assert.equal(waiting.state, 'pending');
      await advance(1);
      assert.equal(waiting.state, AcquireTimeoutError);
      await advance(137);
    }
  },

  async 'a lock is renewed after half of its lease, for as long as it is held'(locks, advance) {
    let renewals = 0;
    locks.service.events$.subscribe(({ type }) => (renewals += Number(type === 'renewed')));
    const held = await locks.service.acquire('a', { leaseTtlS: 20 });
    await advance(9_999);
    assert.equal(renewals, 0);
    await advance(1);
    assert.equal(renewals, 1);
    await advance(600_000);
    assert.equal(renewals, 61);
    assert.equal(held.isHeld, true);
    await held.release();
    assert.equal(locks.isHeld('a'), false);
  },

  async 'a lease that is not renewed ends'(locks, advance) {
    const held = await locks.service.acquire('a', { leaseTtlS: 20, autoRenew: false });
    const next = watch(locks.service.acquire('a', { acquireTimeoutS: 60 }));
    await advance(19_599);
    assert.equal(held.isHeld, true);
    await advance(1);
    assert.equal(held.isHeld, false);
    assert.ok(held.signal.reason instanceof LockLostError);
    await advance(400);
    assert.equal(next.state, 'resolved');
  },

  async 'a partition loses a lock'(locks, advance) {
    const lost = [];
    locks.service.lockLost$.subscribe(({ reason }) => lost.push(reason));
    await locks.service.acquire('a', { leaseTtlS: 20 });
    locks.partition();
    await advance(19_599);
    assert.deepEqual(lost, []);
    await advance(1);
    assert.deepEqual(lost, ['expired']);
    await advance(400);
    await locks.occupy('a');
  },

  async 'the shortest and the longest hold end'(locks, advance) {
    await locks.service.withLock('a', { minHoldS: 30 }, () => undefined);
    const next = watch(locks.service.acquire('a', { acquireTimeoutS: 60 }));
    await advance(29_999);
    assert.equal(next.state, 'pending');
    await advance(1);
    assert.equal(next.state, 'resolved');

    const body = watch(
      locks.service.withLock('b', { maxHoldS: 600 }, ({ signal }) => {
        return new Promise((resolve) => signal.addEventListener('abort', resolve));
      }),
    );
    await advance(0);
    await advance(599_999);
    assert.equal(body.state, 'pending');
    await advance(1);
    assert.equal(body.state, LockLostError);
  },

  async 'a ticket waits until its very time'(locks, advance) {
    await locks.occupy('a');
    const ticket = locks.service.enqueue('a');
    await advance(1_000);
    const waiting = watch(ticket.wait(5));
    await advance(4_999);
    assert.equal(waiting.state, 'pending');
    await advance(1);
    assert.equal(waiting.state, 'resolved');
    await ticket.cancel();
  },

  async 'whoever runs all timers comes to an end'(locks, _advance, runAll) {
    const held = await locks.service.acquire('a');
    await locks.occupy('b');
    const waiting = watch(locks.service.acquire('b', { acquireTimeoutS: 60 }));
    await runAll();
    assert.equal(waiting.state, AcquireTimeoutError);
    assert.equal(held.isHeld, true);
    await runAll();
    assert.equal(held.isHeld, true);
  },
};

/** Runs a scenario, with locks created before or after the timers are replaced. */
export async function play(name, { install, uninstall, advance, runAll }, when) {
  if (when === 'before') install();
  const locks = new TestLocks();
  if (when === 'after') install();
  try {
    await scenarios[name](
      locks,
      (ms) => advance(ms, locks),
      () => runAll(locks),
    );
  } finally {
    uninstall();
    await locks.close();
  }
}
