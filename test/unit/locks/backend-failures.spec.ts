import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LockBackend, Proof, RenewalRequest } from '../../../lib/backends/backend.js';
import { GuardedBackend } from '../../../lib/backends/guarded-backend.js';
import { BackendError, LockError, UnsupportedError } from '../../../lib/common/errors.js';
import type { LockEvent } from '../../../lib/locks/events/events.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { FakeClock, FakeEntropy, settlePromises } from '../../support/fake-clock.js';
import { FakeBackend } from './support/fake-backend.js';

/** What a LockError of its own is passed on as; the class does not matter. */
const OWN = new UnsupportedError('not here');
const MISTAKE = new TypeError('broken');

type Way = readonly [name: string, fail: () => unknown, error: unknown];
const rejected = (error: unknown) => async (): Promise<never> => {
  throw error;
};

const WAYS: readonly Way[] = [MISTAKE, OWN, 'no error', undefined].flatMap((error): Way[] => [
  [
    `throws ${String(error)}`,
    () => {
      throw error;
    },
    error,
  ],
  [`rejects with ${String(error)}`, rejected(error), error],
]);

let clock: FakeClock;
let backend: FakeBackend;
let warnings: string[];
let events: LockEvent[];
let unhandled: unknown[];
const note = (error: unknown): void => void unhandled.push(error);

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  backend = new FakeBackend(clock);
  backend.capabilities = { ...backend.capabilities, inspect: 'key' };
  Object.assign(backend, {
    isLocked: async () => true,
    publish: async () => 1,
    subscribe: () => () => undefined,
  });
  warnings = [];
  events = [];
  unhandled = [];
  process.on('unhandledRejection', note);
});

afterEach(async () => {
  // Node tells of them after the microtasks.
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

const make = (): LockClient<unknown> => {
  const client = new LockClient(
    { backend, acquireTimeoutS: 1 },
    { clock, entropy: new FakeEntropy(), log: (_, message) => warnings.push(message) },
  );
  client.events$.subscribe((event) => events.push(event));
  return client;
};

const failing = (method: keyof LockBackend, fail: (...args: never[]) => unknown): void => {
  Object.assign(backend, { [method]: fail });
};

/** What all failures become: the backend's own LockError, or one that names the backend, the method and the cause. */
function expectTyped(got: unknown, method: string, error: unknown): void {
  if (error instanceof LockError) return expect(got).toBe(error);
  expect(got).toBeInstanceOf(BackendError);
  expect(got).toMatchObject({
    code: 'BACKEND',
    isTransient: false,
    message: expect.stringContaining(`the backend fake failed in ${method}: `),
  });
  if (error !== undefined) expect((got as Error).cause).toBe(error);
}

const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => error,
  );

describe.each(WAYS)('a backend that %s', (_name, fail, error) => {
  it.each<[string, keyof LockBackend, (client: LockClient<unknown>) => Promise<unknown>]>([
    ['start', 'start', (client) => client.start()],
    ['start, by the first use', 'start', (client) => client.acquire('k')],
    ['tryAcquire', 'tryAcquire', (client) => client.tryAcquire('k')],
    ['tryAcquire of several keys', 'tryAcquire', (client) => client.tryAcquire(['k', 'l'])],
    ['tryAcquire, of acquireTimeoutS 0', 'tryAcquire', (client) => client.acquire('k', { acquireTimeoutS: 0 })],
    ['enqueue', 'enqueue', (client) => client.acquire('k')],
    ['enqueue, under withLock', 'enqueue', (client) => client.withLock('k', () => 'done')],
    ['enqueue of a ticket', 'enqueue', (client) => client.enqueue('k').wait()],
    ['enqueue, at the place of a ticket', 'enqueue', (client) => client.enqueue('k').placed],
    ['ping', 'ping', (client) => client.ping()],
    ['stats', 'stats', (client) => client.stats()],
    ['isLocked', 'isLocked', (client) => client.isLocked('k')],
    ['publish', 'publish', (client) => client.signals.emit('a', 'b')],
    [
      'subscribe',
      'subscribe',
      (client) => new Promise((_, reject) => client.signals.signal$('a').subscribe({ error: reject })),
    ],
  ])('in %s fails the caller with the same typed error', async (_what, method, use) => {
    failing(method, fail);
    const client = make();
    expectTyped(await outcome(use(client)), method, error);
    expect(clock.pendingTimers).toBe(0);
    await client.close();
  });

  it('in renew fails the caller, loses nothing before the lease is over, and goes on', async () => {
    const client = make();
    const lock = await client.acquire('k', { leaseTtlS: 10 });
    failing('renew', fail);
    expectTyped(await outcome(lock.renew()), 'renew', error);
    expectTyped(await outcome(lock.renew(20)), 'renew', error);
    expect(lock.isHeld).toBe(true);
    // Renewals by itself fail as well, some times, and not for ever.
    await clock.advanceAsync(20_000);
    expect(events.filter(({ type }) => type === 'lost')).toMatchObject([{ reason: 'expired' }]);
    expect(clock.pendingTimers).toBe(0);
    await client.close();
  });

  it('in renew once renews the next time', async () => {
    const client = make();
    const { renew } = backend;
    const lock = await client.acquire('k', { leaseTtlS: 10 });
    failing('renew', fail);
    await clock.advanceAsync(5001);
    backend.renew = renew;
    await clock.advanceAsync(10_000);
    expect(lock.isHeld).toBe(true);
    await client.close();
  });

  it('in renewAll loses nothing before the lease is over, and tries again', async () => {
    let calls = 0;
    failing('renewAll', () => {
      calls++;
      return fail();
    });
    const client = make();
    const lock = await client.acquire('k', { leaseTtlS: 10 });
    await clock.advanceAsync(9700);
    expect([calls > 3, lock.isHeld, events.filter(({ type }) => type === 'lost')]).toEqual([true, true, []]);
    await clock.advanceAsync(1000);
    expect(events.filter(({ type }) => type === 'lost')).toMatchObject([{ reason: 'expired' }]);
    await client.close();
  });

  it('in the answer to renewAll gives the holder the same typed error, or a loss', async () => {
    const answers: unknown[] = [];
    failing('renewAll', ([request]: [RenewalRequest]) => request.failed(error));
    const guard = new GuardedBackend(backend, { clock, log: () => undefined });
    const grant = backend.grantFor({ key: 'k', kind: 'lock', limit: 1, leaseMs: 10_000, deadline: 0 });
    guard.renewAll!([{ grant, leaseMs: 10_000, renewed: () => undefined, failed: (got) => answers.push(got) }]);
    expect(answers).toHaveLength(1);
    expectTyped(answers[0], 'renewAll', error);
  });

  it('in release leaves the lock to its lease, and the caller is free', async () => {
    const client = make();
    const locks = [await client.acquire('k'), await client.acquire(['l', 'm'])];
    failing('release', fail);
    expect(await Promise.all(locks.map((lock) => lock.release()))).toEqual([true, true]);
    expect(await client.withLock('n', () => 'done')).toBe('done');
    await client.close();
  });

  it('in abandon tells holders of their loss all the same', async () => {
    const client = make();
    const lock = await client.acquire(['k', 'l']);
    failing('abandon', fail);
    backend.owner.cut();
    expect(lock.isHeld).toBe(false);
    await settlePromises();
    expect(events.filter(({ type }) => type === 'lost')).toHaveLength(1);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain(error === OWN ? 'not here' : 'the backend fake failed in abandon: ');
    await client.close();
  });

  it('in close lets the client close', async () => {
    const client = make();
    await client.start();
    let isComplete = false;
    client.events$.subscribe({ complete: () => (isComplete = true) });
    failing('close', fail);
    await client.close();
    expect(client.toJSON()).toMatchObject({ state: 'closed' });
    expect([isComplete, clock.pendingTimers]).toEqual([true, 0]);
    expect(warnings).toEqual([expect.stringContaining(error === OWN ? 'not here' : 'failed in close: ')]);
  });

  it('in the cancellation of a place lets the caller go', async () => {
    backend.enqueue = () => ({ cancel: fail });
    const client = make();
    const stopper = new AbortController();
    const waiting = outcome(client.acquire('k', { signal: stopper.signal }));
    await settlePromises();
    const ticket = client.enqueue('k');
    await settlePromises();
    stopper.abort('enough');
    expect(await waiting).toBe('enough');
    await ticket.cancel();
    await client.close();
  });

  it.each<keyof LockBackend>(['onLink', 'onSuspect'])('in %s makes no client, or is in its log', async (method) => {
    failing(method, fail);
    const [made] = await Promise.all([outcome((async () => make())())]);
    if (made instanceof LockError) return expectTyped(made, method, error);
    await settlePromises();
    expect(warnings).toEqual([expect.stringContaining(error === OWN ? 'not here' : `failed in ${method}: `)]);
  });

  it('in the end of a subscription ends it all the same', async () => {
    failing('subscribe', () => fail);
    const client = make();
    const subscription = client.signals.signal$('a').subscribe();
    subscription.unsubscribe();
    await settlePromises();
    expect(warnings).toEqual([expect.stringContaining(error === OWN ? 'not here' : 'failed in subscribe: ')]);
  });
});

describe('a backend that does not keep to its interface', () => {
  it.each<[string, keyof LockBackend, unknown, (client: LockClient<unknown>) => Promise<unknown>]>([
    ['no capabilities', 'start', Promise.resolve(undefined), (client) => client.start()],
    ['no promise of a start', 'start', undefined, (client) => client.start()],
    ['no promise of a grant', 'tryAcquire', undefined, (client) => client.tryAcquire('k')],
    ['no Pending', 'enqueue', undefined, (client) => client.acquire('k')],
    ['half a Pending', 'enqueue', {}, (client) => client.acquire('k')],
    ['no promise of a proof', 'renew', undefined, async (client) => (await client.acquire('k')).renew()],
    ['no proof', 'renew', Promise.resolve(null), async (client) => (await client.acquire('k')).renew()],
  ])('and gives %s fails with a BackendError', async (_what, method, value, use) => {
    failing(method, () => value);
    expectTyped(await outcome(use(make())), method, undefined);
  });

  it.each([null, undefined, {}, { validFrom: '1000', leaseMs: 10_000 }, { validFrom: NaN, leaseMs: 10_000 }])(
    'and proves renewals of renewAll with %p has not renewed',
    async (proof) => {
      failing('renewAll', (requests: readonly RenewalRequest[]) => {
        for (const request of requests) request.renewed(proof as Proof);
      });
      const client = make();
      const lock = await client.acquire('k', { leaseTtlS: 10 });
      await clock.advanceAsync(9000);
      expect([lock.isHeld, lock.remainingMs]).toEqual([true, 800]);
      await clock.advanceAsync(1000);
      expect(events.filter(({ type }) => type === 'lost')).toMatchObject([{ reason: 'expired' }]);
      await client.close();
    },
  );

  it('and has no capabilities makes no client', () => {
    Object.defineProperty(backend, 'capabilities', {
      get() {
        throw MISTAKE;
      },
    });
    expect(make).toThrow('the backend fake failed in capabilities: TypeError: broken');
  });

  it('and grants more than once gives one lock, and has the rest back', async () => {
    backend.enqueue = (req, _mode, waiter) => {
      const grants = [1, 2, 3].map(() => backend.grantFor(req));
      for (const grant of grants) waiter.granted(grant);
      waiter.refused(MISTAKE);
      return { cancel: () => undefined };
    };
    const client = make();
    const lock = await client.acquire('k');
    expect(lock.token).toBe('1');
    const ticket = await client.enqueue('l').wait();
    expect(ticket!.token).toBe('4');
    expect(backend.log.filter((line) => line.startsWith('abandon'))).toEqual([
      'abandon 2',
      'abandon 3',
      'abandon 5',
      'abandon 6',
    ]);
    await client.close();
  });

  it('and throws after it has granted has granted', async () => {
    backend.enqueue = (req, _mode, waiter) => {
      waiter.granted(backend.grantFor(req));
      throw MISTAKE;
    };
    const client = make();
    expect((await client.acquire('k')).isHeld).toBe(true);
    await client.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('and says more than once that it has released has released once', async () => {
    backend.release = (_grant, done) => {
      done('released');
      done('gone');
      throw MISTAKE;
    };
    const client = make();
    expect(await (await client.acquire('k')).release()).toBe(true);
    await settlePromises();
    expect(events.map(({ type }) => type)).toEqual(['acquired', 'released']);
    await client.close();
  });

  it('and grants with an owner that throws does not keep the lock', async () => {
    const broken = (): never => {
      throw MISTAKE;
    };
    const owner = { id: 'o', provenUntil: () => Infinity, onLost: broken };
    backend.onEnqueue = async (req) => ({ ...backend.grantFor(req), owner });
    const client = make();
    const got = await outcome(client.acquire('k'));
    expect(got).toBeInstanceOf(BackendError);
    expect(backend.log).toContain('abandon 1');
    expect(clock.pendingTimers).toBe(0);
  });
});
