import { beforeEach, describe, expect, it } from '@jest/globals';
import type { AcquireRequest, Grant } from '../../../../lib/backends/backend.js';
import {
  AcquireTimeoutError,
  LimitMismatchError,
  LockLostError,
  LockUnavailableError,
  ShuttingDownError,
  UnsupportedError,
} from '../../../../lib/common/errors.js';
import { settlePromises } from '../../../support/fake-clock.js';
import { FakeOwner, rejected } from '../support/fake-backend.js';
import { countedSignal, Doors, forever, World } from '../support/world.js';

let world: World;

beforeEach(() => void (world = new World()));

/** Somebody else has these keys: tries are refused, and who waits for one waits until the test grants it. */
function busy(...keys: string[]) {
  const { backend } = world;
  const doors = new Doors<Grant>();
  const requests = new Map<string, AcquireRequest>();
  backend.onTry = async (req) => (keys.includes(req.key) ? null : backend.grantFor(req));
  backend.onEnqueue = async (req) => {
    if (!keys.includes(req.key)) return backend.grantFor(req);
    requests.set(req.key, req);
    const { clock } = world;
    return new Promise((resolve, reject) => {
      const timer = clock.setTimer(() => reject(new AcquireTimeoutError(req.key)), req.deadline - clock.now());
      void doors.at(req.key).then((grant) => {
        clock.clearTimer(timer);
        resolve(grant);
      });
    });
  };
  return { grant: (key: string) => doors.open(key, backend.grantFor(requests.get(key)!)) };
}

describe('several keys', () => {
  it('are asked for in the order of their bytes, each once, all in one turn', async () => {
    let inOneTurn = 0;
    world.backend.onTry = async (req) => {
      const grant = world.backend.grantFor(req);
      await Promise.resolve();
      inOneTurn ||= world.log.length;
      return grant;
    };
    // U+FF61 comes before U+1F512 in bytes, and after it in UTF-16.
    const lock = await world.client.acquire(['b', '\u{1f512}', 'a', '\uff61', 'b']);
    expect(lock.keys).toEqual(['a', 'b', '\uff61', '\u{1f512}']);
    expect(world.log).toEqual(lock.keys.map((key) => `try lock ${key} 1`));
    expect(inOneTurn).toBe(4);
    expect(lock.grants.map(({ key, token }) => key + token)).toEqual(['a1', 'b2', '\uff613', '\u{1f512}4']);
    expect(lock.token).toBe('1');
    expect(lock.fence).toBeUndefined();
    expect(lock.isHeld).toBe(true);
    expect(JSON.parse(JSON.stringify(lock))).toMatchObject({
      keys: lock.keys,
      grants: [{ key: 'a', fence: '1' }, {}, {}, {}],
    });
  });

  it('are sorted as they are on the wire', async () => {
    const long = `${'a'.repeat(300)}`;
    world = new World({ namespace: 'n' });
    const lock = await world.client.acquire([`${long}z`, 'b', `${long}y`]);
    const wires = world.log.map((line) => line.split(' ')[2]!);
    expect(wires).toEqual([...wires].sort());
    expect(wires[2]).toBe('n:b');
    expect(lock.keys[2]).toBe('b');
  });

  it('are released in reverse', async () => {
    const lock = await world.client.acquire(['a', 'b', 'c']);
    expect(await lock.release()).toBe(true);
    expect(world.log.slice(3)).toEqual(['release 3', 'release 2', 'release 1']);
    expect(world.types).toEqual(['acquired', 'released']);
    expect(world.events.map((event) => 'keys' in event && event.keys)).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ]);
  });

  it('of which one is busy leave nothing taken', async () => {
    busy('b');
    expect(await world.client.tryAcquire(['a', 'b', 'c'])).toBeNull();
    expect(world.log.slice(3)).toEqual(['release 2', 'release 1']);
    await expect(world.client.acquire(['a', 'b', 'c'], { acquireTimeoutS: 0 })).rejects.toBeInstanceOf(
      AcquireTimeoutError,
    );
  });

  it('of which one is busy are taken one after the other, in order, under one deadline', async () => {
    const { grant } = busy('b');
    const deadlines = new Set<number>();
    const { onEnqueue } = world.backend;
    world.backend.onEnqueue = (req) => {
      deadlines.add(req.deadline);
      return onEnqueue(req);
    };
    world.backend.placed = Promise.resolve('queued');
    const waiting = world.client.acquire(['c', 'b', 'a'], { acquireTimeoutS: 5, leaseTtlS: 10 });
    await settlePromises();
    expect(world.log).toEqual([
      'try lock a 1', 'try lock b 1', 'try lock c 1', 'release 2', 'release 1', 'enqueue a', 'enqueue b',
    ]); // prettier-ignore
    await world.clock.advanceAsync(3000);
    grant('b');
    const lock = await waiting;
    expect(world.log.slice(7)).toEqual(['enqueue c']);
    expect(lock.waitedMs).toBe(3000);
    expect([...deadlines]).toEqual([6000]);
    expect(world.types).toEqual(['queued', 'acquired']);
  });

  it('that are held already are renewed while the rest is waited for', async () => {
    const { grant } = busy('b');
    const waiting = world.client.acquire(['a', 'b'], { acquireTimeoutS: 60, leaseTtlS: 10, autoRenew: false });
    await world.clock.advanceAsync(30_000);
    expect(world.log.filter((line) => line === 'renew 2 10000').length).toBeGreaterThanOrEqual(5);
    grant('b');
    const lock = await waiting;
    expect(lock.isHeld).toBe(true);
    // From now on it is as the caller wants it.
    const renewals = () => world.log.filter((line) => line.startsWith('renew')).length;
    const before = renewals();
    await world.clock.advanceAsync(20_000);
    expect(renewals()).toBe(before);
    expect(lock.signal.reason).toMatchObject({ reason: 'expired', key: 'a' });
  });

  it('whose tries are not answered by the deadline are not asked for again: the caller would wait for that too', async () => {
    world.backend.onTry = () => forever();
    world.backend.onEnqueue = () => forever();
    const outcome = expect(world.client.acquire(['a', 'b'], { acquireTimeoutS: 2 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    await world.clock.advanceAsync(2000);
    await outcome;
    expect(world.log.filter((line) => line.startsWith('enqueue'))).toEqual([]);
  });

  it('of which one is granted at the very deadline: the next one is not asked for', async () => {
    const { backend, clock } = world;
    backend.onTry = async (req) => (req.key === 'a' ? null : backend.grantFor(req));
    backend.onEnqueue = (req) =>
      req.key === 'b'
        ? forever()
        : new Promise((resolve) => clock.setTimer(() => resolve(backend.grantFor(req)), req.deadline - clock.now()));
    const outcome = expect(world.client.acquire(['a', 'b'], { acquireTimeoutS: 2 })).rejects.toMatchObject({
      code: 'ACQUIRE_TIMEOUT',
      key: 'b',
    });
    await clock.advanceAsync(2000);
    await outcome;
    expect(world.log.filter((line) => line.startsWith('enqueue'))).toEqual(['enqueue a']);
    expect(world.log.at(-1)).toMatch(/^release/);
  });

  it('that are not there in time are an error that names the one that was busy, and nothing stays taken', async () => {
    busy('b');
    const outcome = expect(world.client.acquire(['a', 'b'], { acquireTimeoutS: 2 })).rejects.toMatchObject({
      code: 'ACQUIRE_TIMEOUT',
      key: 'b',
    });
    await world.clock.advanceAsync(2000);
    await outcome;
    expect(world.log.at(-1)).toBe('release 2');
    expect(world.events.at(-1)).toMatchObject({ type: 'timeout', keys: ['a', 'b'] });
    expect(world.clock.pendingTimers).toBeLessThanOrEqual(1);
  });

  it('of which one is lost meanwhile are taken from the beginning', async () => {
    const { grant } = busy('b');
    world.backend.owners.set('a', new FakeOwner());
    const waiting = world.client.acquire(['a', 'b'], { acquireTimeoutS: 5 });
    await settlePromises();
    world.backend.owners.get('a')!.cut();
    await settlePromises();
    expect(world.log.slice(4)).toEqual(['enqueue b', 'cancel b', 'abandon 2', 'enqueue a', 'enqueue b']);
    grant('b');
    expect((await waiting).grants.map(({ token }) => token)).toEqual(['3', '4']);
    expect(world.losses).toEqual([]);
  });

  it('of which one is lost at the deadline are an error that says so', async () => {
    busy('b');
    world.backend.owners.set('a', new FakeOwner());
    const waiting = world.client.acquire(['a', 'b'], { acquireTimeoutS: 5 });
    await settlePromises();
    world.clock.stall(5000);
    world.backend.owners.get('a')!.cut();
    await expect(waiting).rejects.toThrow('lost (disconnected) while waiting for other keys');
    await expect(waiting).rejects.toBeInstanceOf(LockUnavailableError);
  });

  it('are all looked at when the last has come', async () => {
    const { grant } = busy('b');
    world.backend.onRenew = forever;
    const waiting = world.client.acquire(['a', 'b'], { acquireTimeoutS: 60, leaseTtlS: 10 });
    await settlePromises();
    // The loop stalls for longer than the lease of a; nothing has told anybody.
    world.clock.stall(11_000);
    grant('b');
    await world.clock.advanceAsync(0);
    await settlePromises();
    expect(world.log).toContain('abandon 2');
    grant('b');
    const lock = await waiting;
    expect(lock.isHeld).toBe(true);
    expect(lock.grants.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  it('fail at once over what time will not change, with nothing taken', async () => {
    world.backend.onTry = async (req) => {
      if (req.key === 'b') throw new LimitMismatchError({ key: 'b' });
      return world.backend.grantFor(req);
    };
    await expect(world.client.acquire(['a', 'b'], { limit: 2 })).rejects.toMatchObject({
      code: 'LIMIT_MISMATCH',
      key: 'b',
    });
    expect(world.log).toEqual(['try sem a 2', 'try sem b 2', 'release 1']);
  });

  it('are waited for where a try could not be made', async () => {
    world.backend.onTry = async () => Promise.reject(new LockUnavailableError('away'));
    expect((await world.client.acquire(['a', 'b'])).isHeld).toBe(true);
    await expect(world.client.tryAcquire(['a', 'b'])).rejects.toBeInstanceOf(LockUnavailableError);
  });

  it('stop being waited for when the signal aborts, or the client closes', async () => {
    busy('b');
    const stop = new AbortController();
    const waiting = world.client.acquire(['a', 'b'], { signal: stop.signal });
    await settlePromises();
    stop.abort('reason');
    await expect(waiting).rejects.toBe('reason');
    expect(world.log.slice(-2)).toEqual(['cancel b', 'release 2']);
    const other = expect(world.client.acquire(['a', 'b'])).rejects.toBeInstanceOf(ShuttingDownError);
    await settlePromises();
    await world.client.close();
    await other;
    expect(world.log.at(-1)).toBe('close');
  });

  it('of which one is lost in the turn in which the client closes are not asked for again', async () => {
    busy('b');
    world.backend.owners.set('a', new FakeOwner());
    const waiting = expect(world.client.acquire(['a', 'b'])).rejects.toBeInstanceOf(ShuttingDownError);
    await settlePromises();
    world.backend.owners.get('a')!.cut();
    const closing = world.client.close();
    await waiting;
    await closing;
    expect(world.log.filter((line) => line === 'enqueue a')).toHaveLength(1);
  });

  it('do not wait for a slow release longer than until the deadline', async () => {
    busy('b');
    world.backend.onRelease = forever;
    const outcome = expect(world.client.acquire(['a', 'b'], { acquireTimeoutS: 1 })).rejects.toBeInstanceOf(
      AcquireTimeoutError,
    );
    await world.clock.advanceAsync(1000);
    await outcome;
  });

  it('are given back when the tries end in different ways, and the error is told', async () => {
    world.backend.onTry = async (req) => {
      if (req.key === 'a') throw new LockUnavailableError('away', { key: 'a' });
      return req.key === 'b' ? null : world.backend.grantFor(req);
    };
    await expect(world.client.tryAcquire(['a', 'b', 'c'])).rejects.toMatchObject({ message: 'away', key: 'a' });
    expect(world.log.slice(3)).toEqual(['release 1']);
  });

  it('of which one is lost before the others are answered are not held', async () => {
    world.backend.owners.set('a', new FakeOwner());
    const doors = new Doors<Grant | null>();
    world.backend.onTry = async (req) => (req.key === 'b' ? doors.at('b') : world.backend.grantFor(req));
    const trying = world.client.tryAcquire(['a', 'b']);
    await settlePromises();
    world.backend.owners.get('a')!.cut();
    doors.open('b', world.backend.grantFor({ key: 'b', kind: 'lock', limit: 1, leaseMs: 10_000, deadline: 0 }));
    expect(await trying).toBeNull();
    expect(world.log.slice(2)).toEqual(['abandon 1', 'release 2']);
  });

  it('say why they were lost at the deadline: the server was going', async () => {
    busy('b');
    const waiting = world.client.acquire(['a', 'b'], { acquireTimeoutS: 5 });
    await settlePromises();
    world.clock.stall(5000);
    world.backend.link({ server: 'fake', state: 'draining' });
    await expect(waiting).rejects.toMatchObject({
      message: 'lost (draining) while waiting for other keys',
      cause: expect.objectContaining({ code: 'DRAINING' }),
    });
  });

  it('that cannot be given back do not hold up the answer of a try for ever', async () => {
    busy('b');
    world.backend.onRelease = forever;
    const stop = new AbortController();
    const trying = world.client.tryAcquire(['a', 'b'], { signal: stop.signal });
    await settlePromises();
    stop.abort('enough');
    await expect(trying).rejects.toBe('enough');
  });

  it('of which one is busy are answered soon, although what was taken cannot be given back', async () => {
    busy('b');
    world.backend.onRelease = forever;
    const answers: unknown[] = [];
    void world.client.tryAcquire(['a', 'b']).then((lock) => answers.push(lock));
    await world.clock.advanceAsync(249);
    expect(answers).toEqual([]);
    await world.clock.advanceAsync(1);
    expect(answers).toEqual([null]);
  });

  it('whose release is not answered are queued for all the same', async () => {
    const { grant } = busy('b');
    world.backend.onRelease = forever;
    const waiting = world.client.acquire(['a', 'b'], { acquireTimeoutS: 5 });
    await world.clock.advanceAsync(250);
    grant('b');
    expect((await waiting).isHeld).toBe(true);
  });

  it('are tried once for as long as the server takes to answer', async () => {
    const { backend, clock } = world;
    backend.onTry = (req) => new Promise((resolve) => clock.setTimer(() => resolve(backend.grantFor(req)), 100));
    const trying = world.client.tryAcquire(['a', 'b']);
    await clock.advanceAsync(100);
    expect((await trying)!.isHeld).toBe(true);
  });

  it('leave nothing at the signal', async () => {
    const { signal, abort, listeners } = countedSignal();
    const { grant } = busy('b');
    const waiting = world.client.acquire(['a', 'b'], { signal });
    await settlePromises();
    expect(listeners()).toBe(1);
    grant('b');
    const lock = await waiting;
    expect(listeners()).toBe(0);
    abort('late');
    expect(lock.isHeld).toBe(true);
  });

  it('are not asked for when the signal aborts while they are tried', async () => {
    const stop = new AbortController();
    world.backend.onTry = async () => (stop.abort('reason'), null);
    await expect(world.client.acquire(['a', 'b'], { signal: stop.signal })).rejects.toBe('reason');
    expect(world.log.filter((line) => line.startsWith('enqueue'))).toEqual([]);
  });

  it('need a fence each where one is required', async () => {
    const { backend } = world;
    backend.onTry = async (req) => {
      const grant = backend.grantFor(req);
      return req.key === 'b' ? { ...grant, fence: undefined } : grant;
    };
    await expect(world.client.acquire(['a', 'b'], { requireFence: true })).rejects.toBeInstanceOf(UnsupportedError);
    expect(world.log.slice(2)).toEqual(['release 2', 'release 1']);
  });
});

describe('a set', () => {
  it('is lost as a whole when one of it is', async () => {
    world.backend.owners.set('b', new FakeOwner());
    world.backend.servers.set('b', 'other');
    const lock = await world.client.acquire(['a', 'b', 'c']);
    const { signal } = lock;
    // Whoever asks for one of them from now on is behind the news.
    signal.addEventListener('abort', () => world.backend.log.push('told'));
    world.backend.owners.get('b')!.cut();
    expect(signal.reason).toMatchObject({ key: 'b', reason: 'disconnected', server: 'other' });
    expect(lock.isHeld).toBe(false);
    expect(lock.remainingMs).toBe(0);
    expect(world.log.slice(3)).toEqual(['told', 'abandon 3', 'abandon 1', 'abandon 2']);
    expect(await lock.release()).toBe(false);
    expect(world.losses).toEqual([expect.objectContaining({ keys: ['a', 'b', 'c'], server: 'other' })]);
    expect(world.losses[0]!.grants).toHaveLength(3);
    expect(world.clock.pendingTimers).toBeLessThanOrEqual(1);
  });

  it('is held while all of it is', async () => {
    const owner = new FakeOwner();
    owner.proven = 3000;
    world.backend.owners.set('b', owner);
    const lock = await world.client.acquire(['a', 'b']);
    expect(lock.remainingMs).toBe(2000);
    world.clock.stall(2000);
    expect(lock.isHeld).toBe(false);
    expect(() => lock.assertHeld()).toThrow('lost the lock "b" (expired)');
  });

  it('is lost once, however many of it are', async () => {
    const lock = await world.client.acquire(['a', 'b']);
    world.backend.owner.cut();
    expect(world.losses).toHaveLength(1);
    await expect(lock.renew()).rejects.toBeInstanceOf(LockLostError);
  });

  it('renews all of it, and says how long the shortest lasts', async () => {
    const lock = await world.client.acquire(['a', 'b']);
    world.backend.onRenew = async ({ token }, leaseMs) => ({
      validFrom: world.clock.now(),
      leaseMs: token === '1' ? leaseMs / 2 : leaseMs,
    });
    expect(await lock.renew(20)).toBe(10_000 - 200);
    world.backend.onRenew = async ({ token }, leaseMs) => {
      if (token === '2') throw rejected('b');
      return { validFrom: world.clock.now(), leaseMs };
    };
    await expect(lock.renew()).rejects.toMatchObject({ reason: 'rejected', key: 'b' });
    expect(lock.isHeld).toBe(false);
  });

  it('whose release finds one gone was lost', async () => {
    const lock = await world.client.acquire(['a', 'b']);
    world.backend.onRelease = async ({ token }) => (token === '1' ? 'gone' : 'released');
    expect(await lock.release()).toBe(false);
    expect(world.losses).toEqual([expect.objectContaining({ reason: 'rejected', keys: ['a', 'b'] })]);
    expect(world.losses[0]!.error).toMatchObject({ key: 'a' });
    const other = await world.client.acquire(['a', 'b']);
    world.backend.onRelease = async ({ token }) => (token === '4' ? 'gone' : 'released');
    expect(await other.release()).toBe(false);
    expect(world.losses[1]!.error).toMatchObject({ key: 'b' });
  });

  it('whose releases fail is released all the same', async () => {
    const lock = await world.client.acquire(['a', 'b']);
    world.backend.onRelease = async () => Promise.reject(new LockUnavailableError('away'));
    expect(await lock.release()).toBe(true);
  });
});
