import { beforeEach, describe, expect, it } from '@jest/globals';
import type { BackendFactory, Grant, Waiter } from '../../../lib/backends/backend.js';
import {
  AcquireTimeoutError,
  AuthError,
  ConfigError,
  LimitMismatchError,
  LockKeyError,
  LockLostError,
  LockUnavailableError,
  MaxWaitersError,
  NestedLockError,
  ShuttingDownError,
  UnsupportedError,
} from '../../../lib/common/errors.js';
import { currentLock } from '../../../lib/locks/handle/current-lock.js';
import type { LockEvent, LockLostEvent } from '../../../lib/locks/events/events.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import type { AcquireOptions } from '../../../lib/locks/acquire/acquire-options.js';
import type { LockClientOptions } from '../../../lib/locks/options/options.js';
import { FakeClock, FakeEntropy, settlePromises } from '../../support/fake-clock.js';
import { FakeBackend } from './support/fake-backend.js';

let clock: FakeClock;
let backend: FakeBackend;
let client: LockClient<unknown>;
let events: LockEvent[];
let losses: LockLostEvent[];
let warnings: string[];

const make = (
  options: Omit<LockClientOptions, 'backend' | 'servers' | 'remote' | 'embedded'> = {},
): LockClient<unknown> => {
  backend = new FakeBackend(clock);
  client = new LockClient(
    { backend, ...options },
    { clock, entropy: new FakeEntropy(), log: (_, message) => warnings.push(message) },
  );
  client.events$.subscribe((event) => events.push(event));
  client.lockLost$.subscribe((event) => losses.push(event));
  return client;
};

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  events = [];
  losses = [];
  warnings = [];
  make();
});

const types = (): string[] => events.map((event) => event.type);
const forever = (): Promise<never> => new Promise(() => undefined);

describe('acquire', () => {
  it('asks for the key on the wire, with limit, lease and deadline', async () => {
    make({ namespace: 'shop', leaseTtlS: 7 });
    let asked: unknown;
    backend.onEnqueue = async (req) => backend.grantFor((asked = req));
    await client.acquire('a', { limit: 3, acquireTimeoutS: 2.5 });
    expect(asked).toEqual({ key: 'shop:a', kind: 'sem', limit: 3, leaseMs: 7000, deadline: 3500 });
  });

  it('gives a handle', async () => {
    const lock = await client.acquire('a', { leaseTtlS: 10 });
    expect(lock).toMatchObject({ keys: ['a'], token: '1', fence: 1n, waitedMs: 0, isHeld: true, remainingMs: 9800 });
    expect(lock.grants).toMatchObject([{ key: 'a', token: '1', fence: 1n, server: 'fake' }]);
    expect(JSON.parse(JSON.stringify(lock))).toEqual({
      keys: ['a'],
      server: 'fake',
      fence: '1',
      isHeld: true,
      waitedMs: 0,
    });
    lock.assertHeld();
    expect(lock.signal.aborted).toBe(false);
    expect(lock.signal).toBe(lock.signal);
    expect(await lock.release()).toBe(true);
    expect(await lock.release()).toBe(true);
    expect(lock.isHeld).toBe(false);
    expect(() => lock.assertHeld()).toThrow(LockLostError);
    await expect(lock.renew()).rejects.toBeInstanceOf(LockLostError);
    expect(backend.log).toEqual(['start', 'enqueue a', 'release 1']);
    expect(types()).toEqual(['acquired', 'released']);
    expect(clock.pendingTimers).toBeLessThanOrEqual(1);
  });

  it('is released by `await using`', async () => {
    const lock = await client.acquire('a');
    await lock[Symbol.asyncDispose]();
    expect(backend.log.at(-1)).toBe('release 1');
  });

  it('with acquireTimeoutS 0 tries once', async () => {
    backend.onTry = async () => null;
    await expect(client.acquire('a', { acquireTimeoutS: 0 })).rejects.toMatchObject({
      code: 'ACQUIRE_TIMEOUT',
      key: 'a',
    });
    expect(backend.log).toEqual(['start', 'try lock a 1']);
    expect(types()).toEqual(['timeout']);
  });

  it('shows the key without namespace in errors', async () => {
    make({ namespace: 'n' });
    backend.onEnqueue = async ({ key }) => Promise.reject(new AcquireTimeoutError(key));
    await expect(client.acquire('a')).rejects.toMatchObject({ key: 'a', message: 'could not acquire "a" in time' });
    backend.onEnqueue = async ({ key }) => Promise.reject(new LimitMismatchError({ key }));
    await expect(client.acquire('a')).rejects.toMatchObject({ key: 'a', code: 'LIMIT_MISMATCH' });
  });

  it('rejects with an error that the backend has frozen', async () => {
    backend.onEnqueue = async ({ key }) => Promise.reject(Object.freeze(new LimitMismatchError({ key })));
    await expect(client.acquire('a')).rejects.toMatchObject({ code: 'LIMIT_MISMATCH' });
  });

  it('tells that it waits', async () => {
    backend.placed = Promise.resolve('queued');
    let grant!: (grant: Grant) => void;
    backend.onEnqueue = () => new Promise((resolve) => (grant = resolve));
    const waiting = client.acquire('a');
    await settlePromises();
    await clock.advanceAsync(300);
    grant(backend.grantFor({ key: 'a', kind: 'lock', limit: 1, leaseMs: 0, deadline: 0 }));
    expect((await waiting).waitedMs).toBe(300);
    expect(types()).toEqual(['queued', 'acquired']);
  });

  it('tries again what may be passing, sooner than its deadline, and then says what it met', async () => {
    const at: number[] = [];
    backend.onEnqueue = async () => {
      at.push(clock.now());
      throw new MaxWaitersError();
    };
    const waiting = client.acquire('a', { acquireTimeoutS: 2 });
    const outcome = expect(waiting).rejects.toBeInstanceOf(MaxWaitersError);
    await clock.advanceAsync(2000);
    await outcome;
    expect(at.length).toBeGreaterThan(8);
    const gaps = at.slice(1).map((time, i) => time - at[i]!);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(250);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(12.5);
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not try again what will not pass', async () => {
    backend.onEnqueue = async () => Promise.reject(new AuthError());
    await expect(client.acquire('a')).rejects.toBeInstanceOf(AuthError);
    expect(backend.log).toEqual(['start', 'enqueue a']);
  });

  it('tries again at once when the link is back', async () => {
    backend.onEnqueue = async () => Promise.reject(new LockUnavailableError('away'));
    const waiting = client.acquire('a');
    await settlePromises();
    backend.onEnqueue = async (req) => backend.grantFor(req);
    backend.link({ server: 'fake', state: 'up' });
    expect((await waiting).isHeld).toBe(true);
    expect(clock.now()).toBe(1000);
  });

  it('rejects with the reason of its signal, also while it pauses', async () => {
    backend.onEnqueue = forever;
    const stop = new AbortController();
    const waiting = client.acquire('a', { signal: stop.signal });
    await settlePromises();
    stop.abort('reason');
    await expect(waiting).rejects.toBe('reason');
    expect(backend.log).toEqual(['start', 'enqueue a', 'cancel a']);

    backend.onEnqueue = async () => Promise.reject(new LockUnavailableError('away'));
    const other = new AbortController();
    const pausing = client.acquire('b', { signal: other.signal });
    await settlePromises();
    other.abort('again');
    await expect(pausing).rejects.toBe('again');
    expect(clock.pendingTimers).toBe(0);
  });

  it('abandons a grant that comes in the turn of the abort', async () => {
    let grant!: (grant: Grant) => void;
    backend.onEnqueue = () => new Promise((resolve) => (grant = resolve));
    const stop = new AbortController();
    const waiting = client.acquire('a', { signal: stop.signal });
    await settlePromises();
    grant(backend.grantFor({ key: 'a', kind: 'lock', limit: 1, leaseMs: 0, deadline: 0 }));
    stop.abort('reason');
    await expect(waiting).rejects.toBe('reason');
    await settlePromises();
    expect(backend.log).toEqual(['start', 'enqueue a', 'cancel a', 'abandon 1']);
  });

  it.each<[string, unknown, unknown, new (...args: any[]) => Error, string]>([
    ['an empty key', '', {}, LockKeyError, 'empty'],
    ['a key with a space', 'a b', {}, LockKeyError, 'white space'],
    ['no key', undefined, {}, LockKeyError, 'string'],
    ['several keys of which one is wrong', ['a', 'b c'], {}, LockKeyError, 'white space'],
    ['no keys', [], {}, LockKeyError, 'empty list'],
    ['autoRenew', 'a', { autoRenew: 0 }, ConfigError, 'option autoRenew: expected true or false, got 0'],
    ['requireFence', 'a', { requireFence: 'yes' }, ConfigError, 'option requireFence: expected true or false'],
    ['onNested', 'a', { onNested: 'skip' }, ConfigError, "option onNested: expected 'throw', 'wait' or the handle"],
    ['an unknown option', 'a', { ttl: 5 }, ConfigError, 'option ttl is unknown'],
    ['a negative timeout', 'a', { acquireTimeoutS: -1 }, ConfigError, 'option acquireTimeoutS'],
    ['a lease of 0', 'a', { leaseTtlS: 0 }, ConfigError, 'option leaseTtlS'],
    ['a limit of 0', 'a', { limit: 0 }, ConfigError, 'option limit: expected an integer between 1 and'],
    ['a signal that is none', 'a', { signal: {} }, ConfigError, 'option signal'],
    ['options that are none', 'a', 5, ConfigError, 'option options'],
  ])('refuses %s before anything is sent', async (_, key, options, type, text) => {
    const outcome = client.acquire(key as string, options as AcquireOptions);
    await expect(outcome).rejects.toBeInstanceOf(type);
    await expect(outcome).rejects.toThrow(text);
    expect(backend.log).toEqual([]);
  });

  it('takes a list of one key', async () => {
    expect((await client.acquire(['a'])).keys).toEqual(['a']);
  });

  it('refuses a semaphore where there are none', async () => {
    backend.capabilities = { ...backend.capabilities, semaphores: false };
    await expect(client.acquire('a', { limit: 2 })).rejects.toBeInstanceOf(UnsupportedError);
  });
});

describe('tryAcquire', () => {
  it('is null when somebody else has it', async () => {
    backend.onTry = async () => null;
    expect(await client.tryAcquire('a')).toBeNull();
    expect(events).toEqual([]);
  });

  it('abandons a grant that comes after its abort', async () => {
    let grant!: (grant: Grant) => void;
    backend.onTry = () => new Promise((resolve) => (grant = resolve));
    const stop = new AbortController();
    const trying = client.tryAcquire('a', { signal: stop.signal });
    await settlePromises();
    stop.abort('reason');
    await expect(trying).rejects.toBe('reason');
    grant(backend.grantFor({ key: 'a', kind: 'lock', limit: 1, leaseMs: 0, deadline: 0 }));
    await settlePromises();
    expect(backend.log.at(-1)).toBe('abandon 1');
  });
});

describe('a handle', () => {
  it('that is lost says so at once, everywhere, once', async () => {
    const lock = await client.acquire('a', { limit: 2 });
    const { signal } = lock;
    clock.stall(500);
    backend.owner.cut();
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBeInstanceOf(LockLostError);
    expect(lock.isHeld).toBe(false);
    expect(lock.remainingMs).toBe(0);
    expect(() => lock.assertHeld()).toThrow(signal.reason as Error);
    await expect(lock.renew()).rejects.toBe(signal.reason);
    expect(await lock.release()).toBe(false);
    expect(losses).toEqual([
      expect.objectContaining({
        type: 'lost',
        keys: ['a'],
        limit: 2,
        reason: 'disconnected',
        heldMs: 500,
        server: 'fake',
      }),
    ]);
    expect(losses[0]!.error).toBe(signal.reason);
    expect(types()).toEqual(['acquired', 'lost']);
  });

  it('that is looked at after its loss has an aborted signal', async () => {
    const lock = await client.acquire('a');
    backend.owner.cut();
    expect(lock.signal.reason).toMatchObject({ reason: 'disconnected', key: 'a' });
  });

  it('whose release finds it gone was lost', async () => {
    const lock = await client.acquire('a');
    backend.onRelease = async () => 'gone';
    expect(await lock.release()).toBe(false);
    expect(losses).toEqual([expect.objectContaining({ reason: 'rejected' })]);
  });

  it('whose release fails is released all the same: its lease ends it', async () => {
    const lock = await client.acquire('a');
    backend.onRelease = async () => Promise.reject(new LockUnavailableError('away'));
    expect(await lock.release()).toBe(true);
    expect(losses).toEqual([]);
  });

  it('renews with the lease it is told, checked', async () => {
    const lock = await client.acquire('a');
    expect(await lock.renew(20)).toBe(20_000 - 400);
    await expect(lock.renew(-1)).rejects.toBeInstanceOf(ConfigError);
    expect(types()).toEqual(['acquired', 'renewed']);
  });
});

describe('withLock', () => {
  it('runs its body under the lock and releases it', async () => {
    const result = await client.withLock('a', async (lock) => {
      expect(currentLock()).toBe(lock);
      await settlePromises();
      expect(currentLock()).toBe(lock);
      return 5;
    });
    expect(result).toBe(5);
    expect(currentLock()).toBeUndefined();
    expect(backend.log).toEqual(['start', 'enqueue a', 'release 1']);
  });

  it('throws what its body throws, having released', async () => {
    await expect(
      client.withLock('a', () => {
        throw new Error('own');
      }),
    ).rejects.toThrow('own');
    expect(backend.log.at(-1)).toBe('release 1');
  });

  it('has no current lock in what it left behind', async () => {
    let left: Promise<unknown> | undefined;
    await client.withLock('a', () => {
      left = settlePromises().then(() => currentLock());
    });
    expect(await left).toBeUndefined();
  });

  it.each(['throw', 'ignore'] as const)(
    'begins nothing under a lock that was lost in the turn of its grant (onLost: %j)',
    async (onLost) => {
      const enqueue = backend.enqueue.bind(backend);
      backend.enqueue = (req, mode, waiter) => {
        const granted = (grant: Grant): void => {
          waiter.granted(grant);
          backend.owner.cut();
        };
        return enqueue(req, mode, Object.create(waiter, { granted: { value: granted } }) as Waiter);
      };
      let ran = false;
      const running = client.withLock('a', { onLost }, () => void (ran = true));
      const entered = client.enter('b');
      await expect(running).rejects.toMatchObject({ reason: 'disconnected', key: 'a' });
      await expect(entered).rejects.toMatchObject({ reason: 'disconnected', key: 'b' });
      await expect(client.withLock('c', { onLost }, () => void (ran = true))).rejects.toThrow(LockLostError);
      expect(ran).toBe(false);
    },
  );

  it('keeps the current lock after its loss', async () => {
    await client.withLock('a', { onLost: 'ignore' }, (lock) => {
      backend.owner.cut();
      expect(currentLock()).toBe(lock);
    });
  });

  it('rejects with a loss that a listener has frozen', async () => {
    client.lockLost$.subscribe(({ error }) => Object.freeze(error));
    const running = client.withLock('a', async () => backend.owner.cut());
    await expect(running).rejects.toMatchObject({ reason: 'disconnected', key: 'a' });
  });

  it('is told of a loss that nobody has noticed yet', async () => {
    backend.onRenew = forever;
    const running = client.withLock('a', { leaseTtlS: 10 }, async () => {
      clock.stall(11_000);
      return 'late';
    });
    const outcome = expect(running).rejects.toMatchObject({ reason: 'expired', settled: { value: 'late' } });
    await clock.advanceAsync(0);
    await outcome;
  });

  it('refuses to wait for itself', async () => {
    await client.withLock('a', async () => {
      await expect(client.acquire('a')).rejects.toBeInstanceOf(NestedLockError);
      await expect(client.acquire('a', { acquireTimeoutS: 0 })).rejects.toBeInstanceOf(NestedLockError);
      expect(await client.tryAcquire('a')).toBeNull();
      await client.withLock('b', async () => {
        await expect(client.acquire('a')).rejects.toBeInstanceOf(NestedLockError);
      });
      await (await client.acquire('a', { limit: 2 })).release();
    });
    await (await client.acquire('a')).release();
  });

  it('keeps the lock for its minimum hold', async () => {
    await client.withLock('a', { minHoldS: 30 }, () => clock.stall(1500));
    expect(backend.log.at(-1)).toBe('keep 1 28500');
    await client.withLock('b', { minHoldS: 1 }, () => clock.stall(1500));
    expect(backend.log.at(-1)).toBe('release 2');
    expect(types()).toEqual(['acquired', 'released', 'acquired', 'released']);
  });

  it('checks its own options', async () => {
    await expect(client.withLock('a', { onLost: 'panic' as never }, () => 1)).rejects.toThrow('option onLost');
    await expect(client.withLock('a', { minHoldS: -1 }, () => 1)).rejects.toThrow('option minHoldS');
    expect(backend.log).toEqual([]);
  });
});

describe('a scope', () => {
  it('is one lock around many parts of work', async () => {
    const scope = await client.enter('a');
    expect(scope.run(() => currentLock())).toBe(scope.lock);
    expect(scope.run(() => currentLock())).toBe(scope.lock);
    expect(await scope.leave()).toBeUndefined();
    expect(await scope.leave()).toBeUndefined();
    expect(scope.run(() => currentLock())).toBeUndefined();
    expect(backend.log).toEqual(['start', 'enqueue a', 'release 1']);
  });

  it('tells its loss when it is left', async () => {
    const scope = await client.enter('a');
    backend.owner.cut();
    expect(await scope.leave()).toBeInstanceOf(LockLostError);
  });

  it('keeps close() waiting', async () => {
    const scope = await client.enter('a');
    let closed = false;
    const closing = client.close().then(() => (closed = true));
    await clock.advanceAsync(5000);
    expect(closed).toBe(false);
    expect(scope.lock.signal.aborted).toBe(false);
    await scope.leave();
    await closing;
    expect(backend.log.at(-1)).toBe('close');
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('start', () => {
  it('connect: warns and goes on when there is no server', async () => {
    backend.onStart = async () => Promise.reject(new LockUnavailableError('nobody there'));
    await client.start();
    expect(warnings).toEqual(['no connection yet: nobody there; retrying']);
    expect(() => client.capabilities).toThrow(LockUnavailableError);
    backend.onStart = async () => backend.capabilities;
    backend.link({ server: 'fake', state: 'up' });
    await settlePromises();
    expect(client.capabilities).toEqual(backend.capabilities);
    expect(Object.isFrozen(client.capabilities)).toBe(true);
  });

  it('connect: fails, closed, when time will not help', async () => {
    backend.onStart = async () => Promise.reject(new AuthError());
    await expect(client.start()).rejects.toBeInstanceOf(AuthError);
    expect(backend.log).toEqual(['start', 'close']);
    await expect(client.acquire('a')).rejects.toBeInstanceOf(ShuttingDownError);
  });

  it('require: fails when there is no server', async () => {
    make({ startup: 'require' });
    backend.onStart = async () => Promise.reject(new LockUnavailableError('nobody there'));
    await expect(client.start()).rejects.toThrow('nobody there');
  });

  it('lazy: does nothing before the first use', async () => {
    make({ startup: 'lazy' });
    await client.start();
    expect(backend.log).toEqual([]);
    await client.ping();
    expect(backend.log).toEqual(['start', 'ping']);
  });

  it('happens once, and by itself at the first acquire', async () => {
    await Promise.all([client.acquire('a'), client.start(), client.start(), client.stats()]);
    expect(backend.log.filter((line) => line === 'start')).toHaveLength(1);
  });

  it('does not hold up an acquire longer than its deadline', async () => {
    backend.onStart = forever;
    backend.onEnqueue = async () => Promise.reject(new LockUnavailableError('away'));
    const outcome = expect(client.acquire('a', { acquireTimeoutS: 1 })).rejects.toBeInstanceOf(LockUnavailableError);
    await clock.advanceAsync(1000);
    await outcome;
  });

  it('tells of links', async () => {
    const error = new Error('cut');
    backend.link({ server: 's', state: 'up' });
    backend.link({ server: 's', state: 'draining' });
    backend.link({ server: 's', state: 'down', error });
    expect(events).toEqual([
      { type: 'connected', server: 's', at: clock.wall() },
      { type: 'degraded', server: 's', at: clock.wall(), detail: 'the server is shutting down' },
      { type: 'disconnected', server: 's', at: clock.wall(), error },
    ]);
  });

  it('tells of a link that is not at its best, or gone for no known reason', () => {
    backend.link({ server: 's', state: 'degraded' });
    backend.link({ server: 's', state: 'down' });
    expect(events.map((event) => ({ ...event }))).toStrictEqual([
      { type: 'degraded', server: 's', at: clock.wall(), detail: 'the server is degraded' },
      { type: 'disconnected', server: 's', at: clock.wall() },
    ]);
  });

  it('says what to wait for when it is asked for its capabilities too early', () => {
    expect(() => client.capabilities).toThrow('the capabilities are known once a server has been reached');
  });

  it.each<[number | undefined, object, string[]]>([
    [2, {}, ['leaseTtlS 2: dflockd counts whole seconds; below 3 s a slow renewal costs the lock']],
    [2.5, {}, ['leaseTtlS 2.5: dflockd counts whole seconds; below 3 s a slow renewal costs the lock']],
    [3, {}, []],
    [undefined, {}, []],
    [2, { embedded: true }, []],
  ])('warns of a lease of %p s where it is short (%j)', async (leaseTtlS, place, expected) => {
    const log = (level: string, message: string): void => void warnings.push(`${level} ${message}`);
    const other = new LockClient({ leaseTtlS, startup: 'lazy', ...place }, { clock, log });
    await other.start();
    await other.close();
    expect(warnings).toEqual(expected.map((message) => `warn ${message}`));
  });

  it('goes on without a log, and warns in one', async () => {
    const unreachable: BackendFactory = (host) => {
      const made = new FakeBackend(host.clock);
      made.onStart = async () => Promise.reject(new LockUnavailableError('nobody there'));
      return made;
    };
    const levels: string[] = [];
    const log = (level: string): void => void levels.push(level);
    const heard = await LockClient.connect({ backend: unreachable }, { clock, log });
    expect(levels).toEqual(['warn']);
    await heard.close();
    const other = await LockClient.connect({ backend: unreachable }, { clock });
    expect(() => other.capabilities).toThrow(LockUnavailableError);
    await other.close();
  });

  it('tells what was skipped', () => {
    client.noteSkipped('a');
    expect(events).toEqual([{ type: 'skipped', keys: ['a'], at: clock.wall() }]);
  });
});

describe('close', () => {
  it('releases what is left and abandons what still comes', async () => {
    let grant!: (grant: Grant) => void;
    await client.acquire('a');
    backend.onTry = () => new Promise((resolve) => (grant = resolve));
    const late = client.tryAcquire('b');
    await settlePromises();
    const closing = client.close();
    await expect(late).rejects.toBeInstanceOf(ShuttingDownError);
    grant(backend.grantFor({ key: 'b', kind: 'lock', limit: 1, leaseMs: 0, deadline: 0 }));
    await closing;
    await settlePromises();
    expect(backend.log).toEqual(expect.arrayContaining(['release 1', 'abandon 2', 'close']));
    expect(losses).toEqual([expect.objectContaining({ reason: 'shutdown' })]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('waits for a release that is under way', async () => {
    let answer!: (how: 'released') => void;
    backend.onRelease = () => new Promise((resolve) => (answer = resolve));
    const lock = await client.acquire('a');
    const releasing = lock.release();
    const closing = client.close();
    await settlePromises();
    expect(backend.log).not.toContain('close');
    answer('released');
    expect(await releasing).toBe(true);
    await closing;
    expect(losses).toEqual([]);
  });

  it('gives connections 2 s, and happens once', async () => {
    const graces: number[] = [];
    backend.close = async (graceMs) => void graces.push(graceMs);
    const closing = client.close();
    expect(client.close()).toBe(closing);
    await closing;
    expect(graces).toEqual([2000]);
  });

  it('asks holders to stop at once, bodies only when their time is over', async () => {
    make({ shutdownTimeoutS: 5 });
    const lock = await client.acquire('a');
    const scope = await client.enter('b');
    const [own, body] = [lock.signal, scope.lock.signal];
    const closing = client.close();
    expect(own.reason).toBeInstanceOf(LockLostError);
    expect(own.reason).toMatchObject({ key: 'a', reason: 'shutdown' });
    expect([lock.isHeld, body.aborted]).toEqual([true, false]);
    await clock.advanceAsync(4999);
    expect([lock.isHeld, scope.lock.isHeld, body.aborted]).toEqual([true, true, false]);
    await clock.advanceAsync(1);
    await closing;
    expect(body.reason).toMatchObject({ key: 'b', reason: 'shutdown' });
    expect([lock.isHeld, scope.lock.isHeld]).toEqual([false, false]);
    expect(backend.log.slice(-3)).toEqual(['release 1', 'release 2', 'close']);
    expect(losses.map(({ reason }) => reason)).toEqual(['shutdown', 'shutdown']);
    expect(await scope.leave()).toMatchObject({ reason: 'shutdown' });
  });

  it('waits for all bodies, and for each once', async () => {
    const scopes = [await client.enter('a'), await client.enter('b')];
    let closed = false;
    const closing = client.close().then(() => (closed = true));
    await scopes[0]!.leave();
    await scopes[0]!.leave();
    await settlePromises();
    expect(closed).toBe(false);
    await scopes[1]!.leave();
    await closing;
    expect(losses).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('keeps the process alive while it waits', async () => {
    const kept: unknown[] = [];
    const setTimer = clock.setTimer.bind(clock);
    const scope = await client.enter('a');
    clock.setTimer = (fn, delay, keepAlive) => (kept.push(keepAlive), setTimer(fn, delay, keepAlive));
    const closing = client.close();
    expect(kept).toEqual([true]);
    await scope.leave();
    await closing;
    // For bodies, releases, and the backend's own end.
    expect(kept).toEqual([true, true, true]);
  });

  it('has nothing to do with locks that are over: none is kept', async () => {
    const held = () => (client.toJSON() as { held: number }).held;
    const lock = await client.acquire('a');
    await client.acquire('b');
    expect(held()).toBe(2);
    await lock.release();
    expect(held()).toBe(1);
    backend.owner.cut();
    expect(held()).toBe(0);
  });

  it('is not held up by bodies that are done', async () => {
    await client.withLock('a', () => undefined);
    await client.close();
    expect(backend.log.at(-1)).toBe('close');
    expect(clock.pendingTimers).toBe(0);
  });

  it('forgets the alarms of what it could not give back', async () => {
    await client.acquire('a', { leaseTtlS: 3600 });
    backend.onRelease = forever;
    const closing = client.close();
    await clock.advanceAsync(1999);
    expect(backend.log.at(-1)).toBe('release 1');
    await clock.advanceAsync(1);
    await closing;
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not start again when a link comes up meanwhile', async () => {
    backend.onStart = async () => Promise.reject(new LockUnavailableError('away'));
    await client.start();
    const closing = client.close();
    backend.link({ server: 's', state: 'up' });
    await closing;
    expect(backend.log).toEqual(['start', 'close']);
  });

  it('does not wait for ever for releases', async () => {
    backend.onRelease = forever;
    await client.acquire('a');
    const closing = client.close();
    await clock.advanceAsync(2000);
    await closing;
  });
});
