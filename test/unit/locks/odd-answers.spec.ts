import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Grant, Proof } from '../../../lib/backends/backend.js';
import { BackendError } from '../../../lib/common/errors.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { FakeClock, FakeEntropy } from '../../support/fake-clock.js';
import { FakeBackend } from './support/fake-backend.js';

let clock: FakeClock;
let backend: FakeBackend;
let client: LockClient<unknown>;
let events: string[];

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  backend = new FakeBackend(clock);
  client = new LockClient({ backend, acquireTimeoutS: 1 }, { clock, entropy: new FakeEntropy() });
  events = [];
  client.events$.subscribe(({ type }) => events.push(type));
});

afterEach(() => client.close());

const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => error,
  );

describe('a lease that is no number', () => {
  it.each<[string, object]>([
    ['text', { validFrom: 1000, leaseMs: '10000' }],
    ['a time as text', { validFrom: '1000', leaseMs: 10_000 }],
    ['nothing', { validFrom: 1000 }],
    ['NaN', { validFrom: 1000, leaseMs: NaN }],
  ])('but %s, in the answer to a renewal, fails the renewal, and extends nothing', async (_what, proof) => {
    const lock = await client.acquire('k', { leaseTtlS: 10 });
    backend.onRenew = async () => proof as Proof;
    expect(await outcome(lock.renew())).toBeInstanceOf(BackendError);
    expect(lock.remainingMs).toBe(9800);
    await clock.advanceAsync(20_000);
    expect([lock.isHeld, lock.signal.aborted]).toEqual([false, true]);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['acquire', () => client.acquire('k')],
    ['tryAcquire', () => client.tryAcquire('k')],
    ['a ticket', () => client.enqueue('k').wait()],
  ])('but text makes no lock of a grant: %s', async (_what, use) => {
    const give = async (req: Grant['req']): Promise<Grant> => ({ ...backend.grantFor(req), leaseMs: '10000' as never });
    backend.onTry = backend.onEnqueue = backend.onTicket = give;
    const got = outcome(use());
    await clock.advanceAsync(0);
    expect(await got).toBeInstanceOf(BackendError);
    expect(backend.log).toContain('abandon 1');
  });
});

describe('a release', () => {
  it('that is said to have come too late, and then to have succeeded, has come too late', async () => {
    backend.release = (_grant, done) => {
      done('gone');
      done('released');
    };
    const lock = await client.acquire('k');
    expect(await lock.release()).toBe(false);
    expect(lock.signal.aborted).toBe(true);
    expect(events).toEqual(['acquired', 'lost']);
  });
});

describe('a close that is never answered', () => {
  it('keeps nobody from closing, and is in the log', async () => {
    const warnings: string[] = [];
    const log = (_level: string, message: string): void => void warnings.push(message);
    const closing = new LockClient({ backend: new FakeBackend(clock) }, { clock, entropy: new FakeEntropy(), log });
    const endless = new FakeBackend(clock);
    endless.close = () => new Promise(() => undefined);
    const hanging = new LockClient({ backend: endless }, { clock, entropy: new FakeEntropy(), log });
    await closing.close();
    expect([warnings, clock.pendingTimers]).toEqual([[], 0]);
    const closed = outcome(hanging.close());
    await clock.advanceAsync(10_000);
    expect(hanging.toJSON()).toMatchObject({ state: 'closed' });
    await closed;
    expect(warnings).toEqual(['the backend fake failed in close: Error: no answer within 4 s']);
    expect(clock.pendingTimers).toBe(0);
  });
});
