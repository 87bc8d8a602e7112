import { beforeEach, describe, expect, it } from '@jest/globals';
import type { AcquireRequest, Grant } from '../../../../lib/backends/backend.js';
import {
  AuthError,
  LeaseExpiredError,
  LockUnavailableError,
  MaxLocksError,
  MaxWaitersError,
  NotLeaderError,
  PoolExhaustedError,
  ProtocolError,
  ServerDrainingError,
} from '../../../../lib/common/errors.js';
import { BackendAcquirer } from '../../../../lib/locks/acquire/backend-acquirer.js';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';
import { FakeBackend } from '../support/fake-backend.js';
import { countedSignal, forever } from '../support/world.js';

let clock: FakeClock;
let backend: FakeBackend;
let acquirer: BackendAcquirer;
let unit: number;

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  backend = new FakeBackend(clock);
  unit = 0;
  acquirer = new BackendAcquirer(backend, clock, { unit: () => unit, fill: () => undefined });
});

const request = (waitMs = 10_000): AcquireRequest => ({
  key: 'k',
  kind: 'lock',
  limit: 1,
  leaseMs: 10_000,
  deadline: clock.now() + waitMs,
});

const abortable = (): { signal: AbortSignal; abort: (reason: unknown) => void } => {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
};

const away = async (): Promise<never> => Promise.reject(new LockUnavailableError('away'));

describe('the attempts of an acquire', () => {
  it.each<[number, number[]]>([
    [0, [12.5, 25, 50, 100, 125, 125]],
    [1, [25, 50, 100, 200, 250, 250]],
  ])('pauses at most twice as long as before and at most 250 ms, with a draw of %d', async (draw, pauses) => {
    unit = draw;
    const at: number[] = [];
    backend.onEnqueue = () => {
      at.push(clock.now());
      return away();
    };
    void acquirer.acquire(request(), undefined, undefined).catch(() => undefined);
    await clock.advanceAsync(1000);
    expect(at.slice(1, 7).map((time, i) => time - at[i]!)).toEqual(pauses);
  });

  it('leaves the queue that it entered while its caller gave up', async () => {
    const { signal, abort } = abortable();
    const cancelled: string[] = [];
    backend.enqueue = ({ key }) => {
      abort('changed my mind');
      return { cancel: () => void cancelled.push(key) };
    };
    await expect(acquirer.acquire(request(), signal, undefined)).rejects.toBe('changed my mind');
    expect(cancelled).toEqual(['k']);
  });

  it.each([
    new LockUnavailableError('away'),
    new ServerDrainingError(),
    new NotLeaderError(),
    new ProtocolError('error'),
    new LeaseExpiredError(),
    new MaxWaitersError(),
    new MaxLocksError(),
    new PoolExhaustedError('no lane'),
    // Of a server that has accepted this client before.
    new AuthError({ isTransient: true }),
  ])('tries again after $name', async (error) => {
    backend.onEnqueue = async () => Promise.reject(error);
    const acquiring = acquirer.acquire(request(), undefined, undefined);
    await settlePromises();
    backend.onEnqueue = async (req) => backend.grantFor(req);
    await clock.advanceAsync(25);
    expect((await acquiring).token).toBe('1');
  });

  it('is not tried again after the refusal of a server that has never accepted this client', async () => {
    const error = new AuthError();
    backend.onEnqueue = async () => Promise.reject(error);
    await expect(acquirer.acquire(request(), undefined, undefined)).rejects.toBe(error);
  });

  it('is told what its last attempt met when its time is over, at its deadline', async () => {
    const errors = [new MaxLocksError(), new MaxWaitersError()];
    backend.onEnqueue = async () => Promise.reject(errors.shift()!);
    const acquiring = acquirer.acquire(request(20), undefined, undefined);
    const outcome = expect(acquiring).rejects.toBeInstanceOf(MaxWaitersError);
    await clock.advanceAsync(20);
    await outcome;
    expect(backend.log).toEqual(['enqueue k', 'enqueue k']);
    expect(acquirer.alarms.size).toBe(0);
  });

  it('has no other attempt when a refusal comes at its deadline', async () => {
    backend.onEnqueue = () => {
      clock.stall(20);
      return away();
    };
    await expect(acquirer.acquire(request(20), undefined, undefined)).rejects.toThrow('away');
    expect(acquirer.alarms.size).toBe(0);
  });

  it('takes a backend that throws for one that refuses', async () => {
    const { enqueue } = backend;
    backend.enqueue = () => {
      throw new LockUnavailableError('thrown');
    };
    const acquiring = acquirer.acquire(request(), undefined, undefined);
    await settlePromises();
    backend.enqueue = enqueue;
    await clock.advanceAsync(13);
    expect((await acquiring).token).toBe('1');
  });

  it('does not work under a lease that was over when its answer was read, and tries again', async () => {
    const late = (grant: Grant): Grant => ({ ...grant, validFrom: clock.now() - 9800 });
    backend.onEnqueue = async (req) => late(backend.grantFor(req));
    const acquiring = acquirer.acquire(request(), undefined, undefined);
    await settlePromises();
    expect(backend.log).toEqual(['enqueue k', 'abandon 1']);
    backend.onEnqueue = async (req) => ({ ...backend.grantFor(req), validFrom: clock.now() - 9799 });
    await clock.advanceAsync(13);
    expect((await acquiring).token).toBe('2');
  });

  it('says that it came too late, and of which server', async () => {
    backend.owner.proven = 1000;
    await expect(acquirer.acquire(request(0), undefined, undefined)).rejects.toMatchObject({
      message: 'granted, but the lease had ended when the reply was read',
      key: 'k',
      server: 'fake',
    });
    await expect(acquirer.tryAcquire(request(), undefined)).rejects.toMatchObject({
      message: 'granted, but the lease had ended when the reply was read',
      key: 'k',
      server: 'fake',
    });
    expect(backend.log).toEqual(['enqueue k', 'abandon 1', 'try lock k 1', 'abandon 2']);
  });

  it('is woken from its pause, and by nothing else', async () => {
    backend.onEnqueue = forever;
    const first = acquirer.acquire(request(), undefined, undefined);
    acquirer.wake();
    expect(backend.log).toEqual(['enqueue k']);
    backend.onEnqueue = away;
    const second = acquirer.acquire(request(), undefined, undefined);
    await settlePromises();
    backend.onEnqueue = async (req) => backend.grantFor(req);
    acquirer.wake();
    expect((await second).token).toBe('1');
    acquirer.wake();
    expect(backend.log).toEqual(['enqueue k', 'enqueue k', 'enqueue k']);
    await clock.advanceAsync(1000);
    expect(backend.log).toHaveLength(3);
    acquirer.close(new Error('closed'));
    await expect(first).rejects.toThrow('closed');
  });

  it('does not wake what waits for something else', async () => {
    const ready = acquirer.until(forever(), Infinity, undefined);
    acquirer.wake();
    acquirer.close(new Error('closed'));
    await expect(ready).rejects.toThrow('closed');
  });

  it('gives up its place when it is sent away, and has none to give up in a pause', async () => {
    backend.onEnqueue = forever;
    const stop = countedSignal();
    const waiting = acquirer.acquire(request(), stop.signal, undefined);
    stop.abort('first');
    await expect(waiting).rejects.toBe('first');
    expect(backend.log).toEqual(['enqueue k', 'cancel k']);

    backend.onEnqueue = away;
    const pause = countedSignal();
    const pausing = acquirer.acquire(request(), pause.signal, undefined);
    await settlePromises();
    pause.abort('second');
    await expect(pausing).rejects.toBe('second');
    expect(backend.log).toEqual(['enqueue k', 'cancel k', 'enqueue k']);
    expect(acquirer.alarms.size).toBe(0);
    await clock.advanceAsync(1000);
    expect(backend.log).toHaveLength(3);
  });

  it('leaves nothing at its signal, however it ends, and is over only once', async () => {
    const stop = countedSignal();
    await acquirer.acquire(request(), stop.signal, undefined);
    expect(stop.listeners()).toBe(0);
    expect(await acquirer.tryAcquire(request(), stop.signal)).not.toBeNull();
    expect(stop.listeners()).toBe(0);
    backend.onEnqueue = async () => Promise.reject(new AuthError());
    await expect(acquirer.acquire(request(), stop.signal, undefined)).rejects.toBeInstanceOf(AuthError);
    expect(stop.listeners()).toBe(0);
    const log = [...backend.log];
    acquirer.close(new Error('closed'));
    stop.abort('late');
    await settlePromises();
    expect(backend.log).toEqual(log);
  });

  it('tells each who waits once, whoever closes meanwhile', () => {
    backend.onEnqueue = forever;
    const told: string[] = [];
    const receiver = (name: string) => ({
      granted: () => undefined,
      failed: () => {
        told.push(name);
        acquirer.close(new Error('again'));
      },
    });
    acquirer.take(request(), undefined, receiver('a'));
    acquirer.take(request(), undefined, receiver('b'));
    acquirer.close(new Error('closed'));
    expect(told).toEqual(['a', 'b']);
  });

  it('tells that it is queued, and not that it has been granted', async () => {
    const told: string[] = [];
    await acquirer.acquire(request(), undefined, () => told.push('queued'));
    backend.placed = Promise.resolve('queued');
    backend.onEnqueue = forever;
    void acquirer.acquire(request(), undefined, () => told.push('queued')).catch(() => undefined);
    void acquirer.acquire(request(), undefined, undefined).catch(() => undefined);
    await settlePromises();
    expect(told).toEqual(['queued']);
  });
});

describe('a try', () => {
  it('is refused by a signal that has aborted, and by a closed client, before anything is sent', async () => {
    await expect(acquirer.tryAcquire(request(), AbortSignal.abort('no'))).rejects.toBe('no');
    await expect(acquirer.acquire(request(), AbortSignal.abort('no'), undefined)).rejects.toBe('no');
    acquirer.close(new Error('closed'));
    await expect(acquirer.tryAcquire(request(), undefined)).rejects.toThrow('closed');
    await expect(acquirer.acquire(request(), undefined, undefined)).rejects.toThrow('closed');
    expect(backend.log).toEqual([]);
  });

  it('ends at its deadline, and abandons what comes later', async () => {
    let grant!: (grant: Grant | null) => void;
    backend.onTry = () => new Promise((resolve) => (grant = resolve));
    const trying = acquirer.tryAcquire(request(), undefined, clock.now() + 100);
    const outcome = expect(trying).rejects.toMatchObject({ code: 'UNAVAILABLE', message: 'no answer in time' });
    await clock.advanceAsync(99);
    expect(acquirer.alarms.size).toBe(1);
    await clock.advanceAsync(1);
    await outcome;
    grant(backend.grantFor(request()));
    await settlePromises();
    expect(backend.log).toEqual(['try lock k 1', 'abandon 1']);
  });

  it('that is answered in time leaves no alarm, and nothing to be sent away', async () => {
    expect(await acquirer.tryAcquire(request(), undefined, clock.now() + 100)).not.toBeNull();
    expect(acquirer.alarms.size).toBe(0);
    backend.onTry = async () => null;
    expect(await acquirer.tryAcquire(request(), undefined, clock.now() + 100)).toBeNull();
    backend.onTry = away;
    await expect(acquirer.tryAcquire(request(), undefined, clock.now() + 100)).rejects.toThrow('away');
    expect(acquirer.alarms.size).toBe(0);
    acquirer.close(new Error('closed'));
    expect(backend.log.filter((line) => line.startsWith('abandon'))).toEqual([]);
  });

  it('that was given up hears nothing of an error that comes later, or of another reason', async () => {
    let refuse!: (error: Error) => void;
    backend.onTry = () => new Promise((_, reject) => (refuse = reject));
    const stop = countedSignal();
    const trying = acquirer.tryAcquire(request(), stop.signal, clock.now() + 100);
    stop.abort('reason');
    await expect(trying).rejects.toBe('reason');
    refuse(new Error('late'));
    await clock.advanceAsync(1000);
    acquirer.close(new Error('closed'));
    await settlePromises();
    expect(stop.listeners()).toBe(0);
  });

  it('is waited for no longer than for what it waits', async () => {
    await acquirer.until(Promise.resolve(), clock.now() + 100, undefined);
    const late = acquirer.until(forever(), clock.now() + 100, undefined);
    const outcome = expect(late).rejects.toBeInstanceOf(LockUnavailableError);
    await clock.advanceAsync(100);
    await outcome;
    const aborted = acquirer.until(forever(), clock.now() + 100, AbortSignal.abort('no'));
    await expect(aborted).rejects.toBe('no');
  });
});
