import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { AcquireRequest, Grant, Waiter } from '../../../../lib/backends/backend.js';
import {
  ConfigError,
  LeaseExpiredError,
  LockKeyError,
  LockUnavailableError,
  NotEnqueuedError,
  PoolExhaustedError,
  ShuttingDownError,
  UnsupportedError,
} from '../../../../lib/common/errors.js';
import { Tickets } from '../../../../lib/locks/tickets/tickets.js';
import { settlePromises } from '../../../support/fake-clock.js';
import { countedSignal, forever, World } from '../support/world.js';

let world: World;
let asked: AcquireRequest;
let grant: () => Promise<void>;
let refuse: (error: Error) => void;

beforeEach(async () => {
  world = new World({ namespace: 'n' });
  await world.client.start();
  world.backend.placed = Promise.resolve('queued');
  world.backend.onTicket = (req) => {
    asked = req;
    return new Promise<Grant>((resolve, reject) => {
      grant = async () => {
        resolve(world.backend.grantFor(req));
        await settlePromises();
      };
      refuse = reject;
    });
  };
});

describe('a ticket', () => {
  it('takes its place at once, for as long as it takes', async () => {
    const ticket = world.client.enqueue('a', { leaseTtlS: 10 });
    expect(world.log).toEqual(['ticket n:a']);
    expect(asked).toEqual({ key: 'n:a', kind: 'lock', limit: 1, leaseMs: 10_000, deadline: Infinity });
    expect(ticket.keys).toEqual(['a']);
    expect(await ticket.placed).toBe('queued');
    expect(world.types).toEqual(['queued']);
  });

  it('keeps the process alive until its place is known, or it has none', async () => {
    const { client, clock } = world;
    let place!: (place: 'queued') => void;
    world.backend.placed = new Promise((resolve) => (place = resolve));
    const first = client.enqueue('a');
    const cancelled = client.enqueue('b');
    const refused = client.enqueue('c');
    refuse(new PoolExhaustedError('full'));
    await cancelled.cancel();
    await expect(refused.placed).rejects.toThrow('full');
    expect(clock.keepsAlive).toBe(true);
    place('queued');
    expect(await first.placed).toBe('queued');
    expect(clock.keepsAlive).toBe(false);
    world.backend.placed = new Promise(() => undefined);
    const last = client.enqueue('d');
    expect(clock.keepsAlive).toBe(true);
    await last.cancel();
    expect(clock.keepsAlive).toBe(false);
  });

  it('keeps its place when nobody waits any longer', async () => {
    const ticket = world.client.enqueue('a', { leaseTtlS: 10 });
    expect(await ticket.wait(0)).toBeNull();
    const waiting = ticket.wait(3);
    await world.clock.advanceAsync(2999);
    const other = ticket.wait();
    await world.clock.advanceAsync(1);
    expect(await waiting).toBeNull();
    await grant();
    const lock = (await other)!;
    expect(lock).toMatchObject({ keys: ['a'], isHeld: true, waitedMs: 3000, token: '1' });
    expect(world.types).toEqual(['queued', 'acquired']);
    // From now on it is renewed as any other.
    await world.clock.advanceAsync(60_000);
    expect(lock.isHeld).toBe(true);
    expect(await lock.release()).toBe(true);
    expect(world.clock.pendingTimers).toBeLessThanOrEqual(1);
  });

  it('waits as long as its options say', async () => {
    const ticket = world.client.enqueue('a', { acquireTimeoutS: 2 });
    const waiting = ticket.wait();
    await world.clock.advanceAsync(2000);
    expect(await waiting).toBeNull();
    await expect(ticket.wait(-1)).rejects.toBeInstanceOf(ConfigError);
  });

  it('can be claimed as long as the lease lasts, and is not renewed before', async () => {
    const ticket = world.client.enqueue('a', { leaseTtlS: 10 });
    await grant();
    await world.clock.advanceAsync(9700);
    expect(world.log).toEqual(['ticket n:a']);
    const lock = await ticket.wait(0);
    expect(lock!.isHeld).toBe(true);
    await world.clock.advanceAsync(1);
    expect(world.log.at(-1)).toBe('renew 1 10000');
  });

  it('ends as LeaseExpiredError when nobody claims it', async () => {
    const ticket = world.client.enqueue('a', { leaseTtlS: 10 });
    await grant();
    await world.clock.advanceAsync(9800);
    expect(world.log.at(-1)).toBe('abandon 1');
    await expect(ticket.wait()).rejects.toMatchObject({ code: 'LEASE_EXPIRED', key: 'a' });
    await expect(ticket.wait()).rejects.toBeInstanceOf(LeaseExpiredError);
    await ticket.cancel();
    // Nobody held it, so nobody lost it.
    expect(world.losses).toEqual([]);
    expect(world.clock.pendingTimers).toBe(0);
  });

  it('is not handed over when the process has slept through the lease', async () => {
    const ticket = world.client.enqueue('a', { leaseTtlS: 10 });
    await grant();
    world.clock.stall(20_000);
    const waiting = expect(ticket.wait()).rejects.toBeInstanceOf(LeaseExpiredError);
    await world.clock.advanceAsync(0);
    await waiting;
  });

  it('says so when its connection is lost, granted or not', async () => {
    const ticket = world.client.enqueue('a');
    await grant();
    world.backend.owner.cut();
    await expect(ticket.wait()).rejects.toBeInstanceOf(LockUnavailableError);

    const other = world.client.enqueue('b');
    const waiting = other.wait();
    refuse(new LockUnavailableError('cut', { key: 'n:b' }));
    await expect(waiting).rejects.toMatchObject({ code: 'UNAVAILABLE', key: 'b' });
  });

  it('that finds no connection is refused at once', async () => {
    world.backend.placed = Promise.reject(new PoolExhaustedError('no lane'));
    world.backend.onTicket = async () => Promise.reject(new PoolExhaustedError('no lane'));
    const ticket = world.client.enqueue('a');
    await expect(ticket.placed).rejects.toBeInstanceOf(PoolExhaustedError);
    await expect(ticket.wait()).rejects.toBeInstanceOf(PoolExhaustedError);
  });

  it('gives the lock to one caller', async () => {
    const ticket = world.client.enqueue('a');
    const [first, second] = [ticket.wait(), ticket.wait()];
    const refused = expect(second).rejects.toBeInstanceOf(NotEnqueuedError);
    await grant();
    expect((await first)!.isHeld).toBe(true);
    await refused;
    await expect(ticket.wait()).rejects.toBeInstanceOf(NotEnqueuedError);
    await ticket.cancel();
    expect(world.log).toEqual(['ticket n:a']);
  });

  it('that is cancelled leaves the queue', async () => {
    const ticket = world.client.enqueue('a');
    const refused = expect(ticket.wait()).rejects.toBeInstanceOf(NotEnqueuedError);
    await ticket.cancel();
    await ticket.cancel();
    await refused;
    expect(world.log).toEqual(['ticket n:a', 'cancel n:a']);
    expect(world.clock.pendingTimers).toBe(0);
  });

  it('that is cancelled unclaimed gives the lock back', async () => {
    const ticket = world.client.enqueue('a');
    await grant();
    await ticket.cancel();
    expect(world.log.at(-1)).toBe('release 1');
    await expect(ticket.wait()).rejects.toBeInstanceOf(NotEnqueuedError);
    const other = world.client.enqueue('b');
    await grant();
    world.backend.onRelease = async () => Promise.reject(new LockUnavailableError('away'));
    await other.cancel();
  });

  it('that is cancelled in the turn of its grant abandons it', async () => {
    const ticket = world.client.enqueue('a');
    const granted = grant();
    void ticket.cancel();
    await granted;
    expect(world.log).toEqual(['ticket n:a', 'cancel n:a', 'abandon 1']);
  });

  it('ends with its signal, and with the client', async () => {
    const stop = new AbortController();
    const aborted = world.client.enqueue('a', { signal: stop.signal });
    const refused = expect(aborted.wait()).rejects.toBe('reason');
    stop.abort('reason');
    await refused;
    expect(() => world.client.enqueue('a', { signal: stop.signal })).toThrow('reason');
    const open = world.client.enqueue('b');
    const closed = expect(open.wait()).rejects.toBeInstanceOf(ShuttingDownError);
    await world.client.close();
    await closed;
    expect(() => world.client.enqueue('b')).toThrow(ShuttingDownError);
    expect(world.log.slice(2)).toEqual(['ticket n:b', 'cancel n:b', 'close']);
  });

  it('of a server that drains can be claimed; the handle says it', async () => {
    const ticket = world.client.enqueue('a');
    await grant();
    world.backend.link({ server: 'fake', state: 'draining' });
    const lock = await ticket.wait();
    expect(lock!.isHeld).toBe(true);
    expect(lock!.signal.reason).toMatchObject({ code: 'DRAINING' });
  });

  it('waits for the start of the client, and says what it met', async () => {
    const other = new World();
    let started!: () => void;
    other.backend.onStart = () => new Promise((resolve) => (started = () => resolve(other.backend.capabilities)));
    const ticket = other.client.enqueue('a');
    await settlePromises();
    expect(other.log).toEqual([]);
    started();
    expect(await ticket.placed).toBe('acquired');

    const third = new World();
    third.backend.onStart = forever;
    const never = third.client.enqueue('a');
    await never.cancel();
    await third.client.close();
    await expect(never.placed).rejects.toBeInstanceOf(Error);
    expect(third.log).toEqual(['close']);
  });

  it('is refused where there are none', async () => {
    const other = new World();
    other.backend.capabilities = { ...other.backend.capabilities, tickets: false };
    const early = other.client.enqueue('a');
    await expect(early.wait()).rejects.toBeInstanceOf(UnsupportedError);
    expect(() => other.client.enqueue('a')).toThrow(UnsupportedError);
  });

  it('needs a fence where one is required', async () => {
    const ticket = world.client.enqueue('a', { requireFence: true });
    const { grantFor } = world.backend;
    world.backend.grantFor = (req) => ({ ...grantFor.call(world.backend, req), fence: undefined });
    const refused = expect(ticket.wait()).rejects.toBeInstanceOf(UnsupportedError);
    await grant();
    await refused;
    expect(world.log.at(-1)).toBe('release 1');
  });

  it.each<[string, unknown, object, new (...args: any[]) => Error]>([
    ['several keys', ['a', 'b'], {}, ConfigError],
    ['an empty key', '', {}, LockKeyError],
    ['joining', 'a', { onNested: 'join' }, ConfigError],
    ['an unknown option', 'a', { ttl: 1 }, ConfigError],
  ])('is not for %s', (_, key, options, type) => {
    expect(() => world.client.enqueue(key as string, options)).toThrow(type);
    expect(world.log).toEqual([]);
  });

  it('says what it is not for', async () => {
    expect(() => world.client.enqueue(['a', 'b'] as never)).toThrow('a ticket is for one key, got a, b');
    expect(() => world.client.enqueue('a', { onNested: 'join' as never })).toThrow(
      "option onNested: a ticket cannot join a lock; expected 'throw' or 'wait'",
    );
    const other = new World();
    other.backend.capabilities = { ...other.backend.capabilities, tickets: false };
    await other.client.start();
    const issue = (): unknown => other.client.enqueue('a');
    expect(issue).toThrow('fake does not support tickets');
    expect(issue).toThrow(expect.objectContaining({ code: 'UNSUPPORTED', key: 'a' }));
    await world.client.close();
    expect(() => world.client.enqueue('a')).toThrow(expect.objectContaining({ code: 'SHUTTING_DOWN', key: 'a' }));
  });

  it('names its key, its server and the cause in what it ends with', async () => {
    const lost = world.client.enqueue('a');
    await grant();
    world.backend.owner.cut();
    const cut = await lost.wait().catch((error: unknown) => error);
    expect(cut).toMatchObject({
      message: 'fake: lost the grant before it was claimed',
      key: 'a',
      server: 'fake',
      cause: expect.objectContaining({ message: 'cut' }),
    });
    const lapsed = world.client.enqueue('b', { leaseTtlS: 10 });
    await grant();
    await world.clock.advanceAsync(9800);
    await expect(lapsed.wait()).rejects.toMatchObject({ code: 'LEASE_EXPIRED', key: 'b', server: 'fake' });
    const cancelled = world.client.enqueue('c');
    await cancelled.cancel();
    await expect(cancelled.wait()).rejects.toMatchObject({ code: 'NOT_ENQUEUED', key: 'c' });
    await expect(cancelled.placed).rejects.toMatchObject({ code: 'NOT_ENQUEUED', key: 'c' });
    const closed = world.client.enqueue('d');
    await world.client.close();
    await expect(closed.wait()).rejects.toMatchObject({ code: 'SHUTTING_DOWN', key: 'd' });
  });

  it('listens to its signal until it is over, and not longer', async () => {
    const stop = countedSignal();
    const ticket = world.client.enqueue('a', { signal: stop.signal });
    expect(stop.listeners()).toBe(1);
    await grant();
    const lock = (await ticket.wait())!;
    expect(stop.listeners()).toBe(0);
    stop.abort('late');
    await settlePromises();
    expect(lock.isHeld).toBe(true);
    await expect(ticket.wait()).rejects.toBeInstanceOf(NotEnqueuedError);
    expect(world.log).toEqual(['ticket n:a']);
  });

  it('gives the lock back when its signal aborts before anybody claims it', async () => {
    const stop = new AbortController();
    const ticket = world.client.enqueue('a', { signal: stop.signal });
    await grant();
    stop.abort('reason');
    await expect(ticket.wait()).rejects.toBe('reason');
    expect(world.log).toEqual(['ticket n:a', 'release 1']);
  });

  it('is placed at once where it is granted at once', async () => {
    world.backend.placed = new Promise(() => undefined);
    const ticket = world.client.enqueue('a');
    await grant();
    expect(await ticket.placed).toBe('acquired');
    expect(world.types).toEqual([]);
  });

  it('leaves no alarm of those who waited, whatever came of it', async () => {
    const ticket = world.client.enqueue('a', { acquireTimeoutS: 60 });
    const waiting = [ticket.wait(), ticket.wait(70)].map((one) => one.catch((error: unknown) => error));
    await grant();
    const [lock] = await Promise.all(waiting);
    await (lock as { release(): Promise<boolean> }).release();
    await world.clock.advanceAsync(0);
    expect(world.clock.pendingTimers).toBeLessThanOrEqual(1);
    const other = world.client.enqueue('b');
    const refused = expect(other.wait(60)).rejects.toBeInstanceOf(LockUnavailableError);
    refuse(new LockUnavailableError('cut'));
    await refused;
    expect(world.clock.pendingTimers).toBeLessThanOrEqual(1);
    await world.clock.advanceAsync(100_000);
    expect(world.clock.pendingTimers).toBe(0);
  });

  it('whose lease is in doubt when it is granted goes to nobody', async () => {
    const ticket = world.client.enqueue('a', { leaseTtlS: 10 });
    const { grantFor } = world.backend;
    world.backend.grantFor = (req) => ({ ...grantFor.call(world.backend, req), validFrom: world.clock.now() - 9800 });
    const refused = expect(ticket.wait()).rejects.toBeInstanceOf(LeaseExpiredError);
    await grant();
    await world.clock.advanceAsync(0);
    await refused;
    expect(world.log).toEqual(['ticket n:a', 'abandon 1']);
  });

  it('whose only caller has gone while its lease was in doubt can still be claimed', async () => {
    const ticket = world.client.enqueue('a', { leaseTtlS: 10 });
    const waiting = ticket.wait(5);
    world.backend.owner.proven = world.clock.now();
    await world.clock.advanceAsync(4999);
    const granted = grant();
    world.clock.stall(1);
    world.backend.owner.proven = 1e9;
    await granted;
    await world.clock.advanceAsync(0);
    const first = await waiting;
    const lock = first ?? (await ticket.wait(0));
    expect(lock!.isHeld).toBe(true);
    expect(world.log).toEqual(['ticket n:a']);
  });

  it('waits for the start no longer than its own time, and then asks all the same', async () => {
    const other = new World();
    other.backend.onStart = forever;
    const ticket = other.client.enqueue('a', { acquireTimeoutS: 3 });
    await other.clock.advanceAsync(2999);
    expect(other.log).toEqual([]);
    await other.clock.advanceAsync(1);
    expect(other.log).toEqual(['ticket a']);
    await ticket.cancel();
  });

  it('that is there at once was never queued', async () => {
    world.backend.placed = Promise.resolve('acquired');
    expect(await world.client.enqueue('a').placed).toBe('acquired');
    expect(world.types).toEqual([]);
  });

  it('that was cancelled before the client had started takes no place afterwards', async () => {
    const other = new World();
    let started!: () => void;
    other.backend.onStart = () => new Promise((resolve) => (started = () => resolve(other.backend.capabilities)));
    const ticket = other.client.enqueue('a');
    await ticket.cancel();
    started();
    await settlePromises();
    await expect(ticket.placed).rejects.toBeInstanceOf(NotEnqueuedError);
    expect(other.log).toEqual([]);
  });

  it('that is over wants no grant and no other refusal', async () => {
    const waiters: Waiter[] = [];
    world.backend.enqueue = (_req, _mode, waiter) => {
      waiters.push(waiter);
      return { cancel: () => undefined };
    };
    const tickets = [world.client.enqueue('a'), world.client.enqueue('b')];
    for (const ticket of tickets) await ticket.cancel();
    waiters[0]!.granted(world.backend.grantFor({ key: 'n:a', kind: 'lock', limit: 1, leaseMs: 10_000, deadline: 0 }));
    waiters[1]!.refused(new PoolExhaustedError('late'));
    await settlePromises();
    expect(world.log).toEqual(['abandon 1']);
    for (const ticket of tickets) await expect(ticket.wait()).rejects.toBeInstanceOf(NotEnqueuedError);
  });

  it('is kept by its client until it is over', async () => {
    const issue = jest.spyOn(Tickets.prototype, 'issue');
    const ticket = world.client.enqueue('a');
    const { open } = issue.mock.contexts[0] as { open: Set<unknown> };
    issue.mockRestore();
    expect(open.size).toBe(1);
    await ticket.cancel();
    expect(open.size).toBe(0);
  });
});
