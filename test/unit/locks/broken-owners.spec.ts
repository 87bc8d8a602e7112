import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Grant, Owner } from '../../../lib/backends/backend.js';
import { LockError, LockLostError } from '../../../lib/common/errors.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { FakeClock, FakeEntropy, settlePromises } from '../../support/fake-clock.js';
import { FakeBackend } from './support/fake-backend.js';

const fail = (): never => {
  throw new TypeError('broken');
};

let clock: FakeClock;
let backend: FakeBackend;
let client: LockClient<unknown>;
let lost: string[];
let unhandled: unknown[];
const note = (error: unknown): void => void unhandled.push(error);

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  backend = new FakeBackend(clock);
  client = new LockClient({ backend, acquireTimeoutS: 1 }, { clock, entropy: new FakeEntropy() });
  lost = [];
  client.lockLost$.subscribe(({ reason }) => lost.push(reason));
  unhandled = [];
  process.on('unhandledRejection', note);
});

afterEach(async () => {
  await client.close();
  // Node tells of them after the microtasks.
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

/** Every way to a grant gives this from now on. */
const grants = (change: (grant: Grant) => unknown): void => {
  const grant: FakeBackend['onTry'] = async (req) => change(backend.grantFor(req)) as Grant;
  backend.onTry = grant;
  backend.onEnqueue = grant as FakeBackend['onEnqueue'];
  backend.onTicket = grant as FakeBackend['onTicket'];
};

const owned = (owner: Partial<Owner>): void =>
  grants((grant) => Object.assign(grant, { owner: { ...SOUND, ...owner } }));

const SOUND: Owner = { id: 'o', provenUntil: () => Infinity, onLost: () => () => undefined };

const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => error,
  );

describe.each<[string, (client: LockClient<unknown>) => Promise<unknown>]>([
  ['acquire', () => client.acquire('k')],
  ['acquire of several keys', () => client.acquire(['k', 'l'])],
  ['tryAcquire', () => client.tryAcquire('k')],
  ['a ticket', () => client.enqueue('k').wait()],
])('%s', (_way, use) => {
  it.each<[string, () => void]>([
    ['without an owner', () => grants((grant) => ({ ...grant, owner: undefined }))],
    ['whose owner cannot say how long it is there', () => owned({ provenUntil: fail })],
    ['whose owner cannot say when it is lost', () => owned({ onLost: fail })],
  ])('that is given a grant %s fails, and keeps nothing', async (_what, arrange) => {
    arrange();
    const got = outcome(use(client));
    await clock.advanceAsync(2000);
    expect(await Promise.race([got, settlePromises().then(() => 'nothing')])).toBeInstanceOf(LockError);
    expect(backend.log).toContain('abandon 1');
  });
});

describe('a lock whose owner', () => {
  it('cannot say any more how long it is there is not held, and is declared lost', async () => {
    const owner = { ...SOUND };
    owned({ provenUntil: () => owner.provenUntil() });
    const lock = await client.acquire('k', { leaseTtlS: 10 });
    grants((grant) => grant);
    const other = await client.acquire('l', { leaseTtlS: 10 });
    owner.provenUntil = fail;
    expect([lock.isHeld, lock.remainingMs]).toEqual([false, 0]);
    await clock.advanceAsync(20_000);
    expect(lock.signal.reason).toBeInstanceOf(LockLostError);
    // Nor does it take the timer of the others with it.
    expect([lost, other.isHeld]).toEqual([['disconnected'], true]);
  });

  it.each<[string, unknown]>([
    ['gives nothing to call when nobody listens any more', undefined],
    ['fails when nobody listens any more', fail],
  ])('%s is released, and its loss is told', async (_what, stop) => {
    let cut!: (reason: 'disconnected') => void;
    owned({ onLost: (callback) => ((cut = callback), stop as () => void) });
    expect(await (await client.acquire('k')).release()).toBe(true);
    expect(backend.log).toContain('release 1');
    const second = await client.acquire('k');
    cut('disconnected');
    expect(second.signal.aborted).toBe(true);
    expect(lost).toEqual(['disconnected']);
  });
});

describe('a renewal that is never answered', () => {
  it('ends for who waits for it when the lock is lost', async () => {
    backend.onRenew = () => new Promise(() => undefined);
    const lock = await client.acquire('k', { leaseTtlS: 10, autoRenew: false });
    const renewals = [outcome(lock.renew()), outcome(lock.renew())];
    await clock.advanceAsync(20_000);
    expect(lost).toEqual(['expired']);
    for (const renewal of renewals) {
      expect(await Promise.race([renewal, settlePromises().then(() => 'nothing')])).toBeInstanceOf(LockLostError);
    }
  });
});
