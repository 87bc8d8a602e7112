import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { AcquireTimeoutError, LockLostError, LockUnavailableError } from '../../lib/entries/index.js';
import { LockClient } from '../../lib/locks/lock-client.js';
import { DflockdServer } from '../../lib/entries/daemon.js';
import { TestLocks } from '../../lib/entries/testing.js';

const opened: TestLocks[] = [];
const make = (options?: ConstructorParameters<typeof TestLocks>[0]) => {
  const locks = new TestLocks(options);
  opened.push(locks);
  return locks;
};

afterEach(async () => {
  jest.useRealTimers();
  for (const locks of opened.splice(0)) await locks.close();
});

/** Turns of the event loop, which fake timers do not stop. */
const { setImmediate: turn } = globalThis;
async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > 10_000) throw new Error('the condition has not come true');
    await new Promise((resolve) => turn(resolve));
  }
}

/** What has become of a promise. */
function watch(promise: Promise<unknown>): { state: unknown } {
  const seen: { state: unknown } = { state: 'pending' };
  promise.then(
    () => (seen.state = 'resolved'),
    (error: Error) => (seen.state = error.constructor),
  );
  return seen;
}

/** All that Node has, and what is faked in other frameworks, or by those who leave something out. */
const CLOCKS = {
  'everything that jest fakes': undefined,
  'all but performance and hrtime, as vitest 2 and node:test': ['performance', 'hrtime'],
  'all but Date': ['Date'],
  'timers only': ['performance', 'hrtime', 'Date', 'nextTick', 'queueMicrotask', 'setImmediate', 'clearImmediate'],
} as const;

describe.each(Object.entries(CLOCKS))('under fake timers, with %s', (_, doNotFake) => {
  const install = () => jest.useFakeTimers(doNotFake ? { doNotFake: [...doNotFake] } : undefined);

  describe.each(['before', 'after'])('that are installed %s the locks were made', (when) => {
    const begin = (options?: ConstructorParameters<typeof TestLocks>[0]) => {
      if (when === 'before') install();
      const locks = make(options);
      if (when === 'after') install();
      return locks;
    };

    it('a wait ends at its very time', async () => {
      const locks = begin({ acquireTimeoutS: 5 });
      await locks.occupy('a');
      const waiting = watch(locks.service.acquire('a'));
      await jest.advanceTimersByTimeAsync(4_999);
      expect(waiting.state).toBe('pending');
      await jest.advanceTimersByTimeAsync(1);
      expect(waiting.state).toBe(AcquireTimeoutError);
    });

    it('so do further waits, none of which begins with the clock', async () => {
      const locks = begin();
      await locks.occupy('a');
      for (const seconds of [0.001, 2.3, 1.1, 0.57]) {
        const waiting = watch(locks.service.acquire('a', { acquireTimeoutS: seconds }));
        await jest.advanceTimersByTimeAsync(Math.round(seconds * 1000) - 1);
        expect(waiting.state).toBe('pending');
        await jest.advanceTimersByTimeAsync(1);
        expect(waiting.state).toBe(AcquireTimeoutError);
        await jest.advanceTimersByTimeAsync(137);
      }
    });

    it('an acquire behind a partition fails at its deadline', async () => {
      const locks = begin({ acquireTimeoutS: 5 });
      locks.partition();
      const waiting = watch(locks.service.acquire('a'));
      await jest.advanceTimersByTimeAsync(4_999);
      expect(waiting.state).toBe('pending');
      await jest.advanceTimersByTimeAsync(1);
      expect(waiting.state).toBe(LockUnavailableError);
    });

    it('a lock is renewed after half of its lease, and the next one after half of the next', async () => {
      const locks = begin({ leaseTtlS: 20 });
      let renewals = 0;
      locks.service.events$.subscribe(({ type }) => (renewals += Number(type === 'renewed')));
      const held = await locks.service.acquire('a');
      await jest.advanceTimersByTimeAsync(9_999);
      expect(renewals).toBe(0);
      await jest.advanceTimersByTimeAsync(1);
      expect(renewals).toBe(1);
      await jest.advanceTimersByTimeAsync(3_600_000);
      expect(renewals).toBe(361);
      expect(held.isHeld).toBe(true);
    });

    it('a lock that is not renewed is lost when its lease, less its guard, is over, and free when all of it is', async () => {
      const locks = begin({ leaseTtlS: 20 });
      const held = await locks.service.acquire('a', { autoRenew: false });
      const next = watch(locks.service.acquire('a', { acquireTimeoutS: 60 }));
      const { remainingMs } = held;
      expect(remainingMs).toBe(19_600);
      await jest.advanceTimersByTimeAsync(remainingMs - 1);
      expect([held.isHeld, held.signal.aborted]).toEqual([true, false]);
      await jest.advanceTimersByTimeAsync(1);
      expect([held.isHeld, held.signal.aborted]).toEqual([false, true]);
      expect(held.signal.reason).toBeInstanceOf(LockLostError);
      expect(next.state).toBe('resolved');
    });

    it('a partition loses a lock, and gives it to others when its lease is over', async () => {
      const locks = begin({ leaseTtlS: 20 });
      const lost: unknown[] = [];
      locks.service.lockLost$.subscribe(({ reason }) => lost.push(reason));
      await locks.service.acquire('a');
      locks.partition();
      await jest.advanceTimersByTimeAsync(19_599);
      expect(lost).toEqual([]);
      await jest.advanceTimersByTimeAsync(1);
      expect(lost).toEqual(['expired']);
      await jest.advanceTimersByTimeAsync(399);
      await expect(locks.occupy('a')).rejects.toThrow(AcquireTimeoutError);
      await jest.advanceTimersByTimeAsync(1);
      await locks.occupy('a');
    });

    it('a minimum hold ends, and whoever waits gets the lock', async () => {
      const locks = begin();
      await locks.service.withLock('a', { minHoldS: 30 }, () => undefined);
      const next = watch(locks.service.acquire('a', { acquireTimeoutS: 60 }));
      await jest.advanceTimersByTimeAsync(29_999);
      expect(next.state).toBe('pending');
      await jest.advanceTimersByTimeAsync(1);
      expect(next.state).toBe('resolved');
    });

    it('a longest hold ends', async () => {
      const locks = begin();
      let signal: AbortSignal | undefined;
      const body = watch(
        locks.service.withLock('a', { maxHoldS: 3_600 }, (lock) => {
          ({ signal } = lock);
          return new Promise((resolve) => signal!.addEventListener('abort', resolve));
        }),
      );
      await until(() => signal !== undefined);
      await jest.advanceTimersByTimeAsync(3_599_999);
      expect([signal!.aborted, body.state]).toEqual([false, 'pending']);
      await jest.advanceTimersByTimeAsync(1);
      expect([signal!.aborted, body.state]).toEqual([true, LockLostError]);
    });

    it('a ticket waits until its very time', async () => {
      const locks = begin({ acquireTimeoutS: 5 });
      await locks.occupy('a');
      const ticket = locks.service.enqueue('a');
      await jest.advanceTimersByTimeAsync(1_000);
      const waiting = watch(ticket.wait(5));
      await jest.advanceTimersByTimeAsync(4_999);
      expect(waiting.state).toBe('pending');
      await jest.advanceTimersByTimeAsync(1);
      expect(waiting.state).toBe('resolved');
      await ticket.cancel();
    });

    it('a lock is kept even if an hour is skipped in one step, without a turn for promises', async () => {
      const locks = begin({ leaseTtlS: 10 });
      let renewals = 0;
      locks.service.events$.subscribe(({ type }) => (renewals += Number(type === 'renewed')));
      const held = await locks.service.acquire('a');
      jest.advanceTimersByTime(3_600_000);
      expect(held.isHeld).toBe(true);
      await until(() => renewals === 720);
      expect(held.isHeld).toBe(true);
    });

    it('a lock that is held does not keep runAllTimers from ending', async () => {
      const locks = begin({ leaseTtlS: 10, acquireTimeoutS: 5 });
      const held = await locks.service.acquire('a');
      await locks.occupy('b');
      const waiting = watch(locks.service.acquire('b', { acquireTimeoutS: 7_200 }));
      await jest.runAllTimersAsync();
      await until(() => waiting.state === AcquireTimeoutError);
      expect(held.isHeld).toBe(true);
      jest.runAllTimers();
      jest.runOnlyPendingTimers();
      await jest.runOnlyPendingTimersAsync();
      expect(held.isHeld).toBe(true);

      // And time goes on for those who use locks afterwards.
      const next = watch(locks.service.acquire('b'));
      await jest.advanceTimersByTimeAsync(4_999);
      expect(next.state).toBe('pending');
      await jest.advanceTimersByTimeAsync(1);
      expect(next.state).toBe(AcquireTimeoutError);
      await held.release();
      expect(locks.isHeld('a')).toBe(false);
    });
  });
});

it('a spy on setTimeout is not a fake timer', async () => {
  const spy = jest.spyOn(globalThis, 'setTimeout');
  try {
    const locks = make();
    await locks.occupy('a');
    await expect(locks.service.acquire('a', { acquireTimeoutS: 0.02 })).rejects.toThrow(AcquireTimeoutError);
    jest.useFakeTimers();
    const second = jest.spyOn(globalThis, 'setTimeout');
    const waiting = watch(locks.service.acquire('a', { acquireTimeoutS: 5 }));
    await jest.advanceTimersByTimeAsync(5_000);
    expect(waiting.state).toBe(AcquireTimeoutError);
    second.mockRestore();
  } finally {
    jest.useRealTimers();
    spy.mockRestore();
  }
});

it('all timers are removed: those that are set afterwards fire', async () => {
  jest.useFakeTimers();
  const locks = make();
  await locks.occupy('a');
  const first = watch(locks.service.acquire('a', { acquireTimeoutS: 4 }));
  await jest.advanceTimersByTimeAsync(1_000);
  jest.clearAllTimers();
  const second = watch(locks.service.acquire('a', { acquireTimeoutS: 5 }));
  await jest.advanceTimersByTimeAsync(4_999);
  expect([first.state, second.state]).toEqual([AcquireTimeoutError, 'pending']);
  await jest.advanceTimersByTimeAsync(1);
  expect(second.state).toBe(AcquireTimeoutError);
});

it('a date that is set moves no lease and renews nothing', async () => {
  jest.useFakeTimers();
  const locks = make({ leaseTtlS: 20 });
  const told: unknown[] = [];
  locks.service.events$.subscribe(({ type, at }) => told.push([type, at]));
  jest.setSystemTime(1_000_000);
  const held = await locks.service.acquire('a', { autoRenew: false });
  jest.setSystemTime(9_000_000_000);
  expect(held.remainingMs).toBe(19_600);
  await jest.advanceTimersByTimeAsync(5_000);
  expect(held.remainingMs).toBe(14_600);
  await held.release();
  await until(() => told.length === 2);
  expect(told).toEqual([
    ['acquired', 1_000_000],
    ['released', 9_000_005_000],
  ]);
});

it('a Date that is replaced by the test moves no lease', async () => {
  jest.useFakeTimers();
  const locks = make({ leaseTtlS: 20 });
  await jest.advanceTimersByTimeAsync(5_000);
  const held = await locks.service.acquire('a', { autoRenew: false });
  const spy = jest.spyOn(globalThis, 'Date');
  try {
    expect(held.remainingMs).toBe(19_600);
  } finally {
    spy.mockRestore();
  }
});

it('advance skips time under fake timers, too', async () => {
  jest.useFakeTimers();
  const locks = make({ leaseTtlS: 20 });
  const held = await locks.service.acquire('a');
  await locks.occupy('b');
  const waiting = watch(locks.service.acquire('b', { acquireTimeoutS: 60 }));
  await locks.advance(59_999);
  expect(waiting.state).toBe('pending');
  await jest.advanceTimersByTimeAsync(1);
  expect(waiting.state).toBe(AcquireTimeoutError);
  expect(held.isHeld).toBe(true);
});

it('a client of a server works while time stands still', async () => {
  const server = new DflockdServer({ port: 0 });
  const { port } = await server.listen();
  jest.useFakeTimers();
  const client = new LockClient({ servers: [`127.0.0.1:${port}`], startup: 'lazy' });
  const heard: string[] = [];
  client.events$.subscribe(({ type }) => heard.push(type));
  const first = await client.acquire('a');
  const second = client.acquire('a');
  await first.release();
  await (await second).release();
  expect(heard).toContain('released');
  jest.useRealTimers();
  await client.close();
  await server.close();
}, 10_000);

it('the package may be loaded when fake timers are installed already', async () => {
  jest.useFakeTimers();
  jest.resetModules();
  const { TestLocks: Loaded } = await import('../../lib/entries/testing.js');
  expect(Loaded).not.toBe(TestLocks);
  const locks = new Loaded({ acquireTimeoutS: 5 });
  await locks.occupy('a');
  const waiting = watch(locks.service.acquire('a'));
  await jest.advanceTimersByTimeAsync(4_999);
  expect(waiting.state).toBe('pending');
  await jest.advanceTimersByTimeAsync(1);
  expect(waiting.state).toHaveProperty('name', 'AcquireTimeoutError');
  jest.useRealTimers();
  await expect(locks.service.acquire('a', { acquireTimeoutS: 0.02 })).rejects.toThrow('a');
  await locks.close();
});
