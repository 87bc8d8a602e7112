import { afterEach, describe, expect, it } from '@jest/globals';
import { EngineHarness, lock, type Peer, sem } from '../../support/engine-harness.js';
import { checkInvariants, footprint } from '../../support/engine-invariants.js';

/** Several portions; enough that proportional ones are no larger than the least. */
const MANY = 3000;
const keys = Array.from({ length: MANY }, (_, i) => lock(`k${i}`));

/** What ends at once is taken in portions, so that other clients do not wait for all of it. */
describe('a crowd of keys', () => {
  const h = new EngineHarness({ maxLocks: 10 * MANY, gcMaxIdleMs: 0, defaultLeaseMs: 10_000 });

  const held = (): number => h.stats().locks.filter(({ owner_conn_id }) => owner_conn_id > 0).length;

  const take = (by: Peer, leaseMs = 0): void => keys.forEach((key) => by.acquire(key, { leaseMs }));

  /** Calls the engine once, as a host does when it is due, and says what is still held. */
  function portion(): number {
    expect(h.engine.nextWake()).toBeLessThanOrEqual(h.now);
    h.jump(0);
    return held();
  }

  afterEach(() => {
    h.advance(60_000);
    checkInvariants(h.engine);
    expect(footprint(h.engine)).toMatchObject({ resources: 0, idle: 0, running: 0, lapsed: 0, waits: 0, leaving: 0 });
  });

  it('is freed in portions when its session ends, the oldest first', () => {
    const [a, b] = [h.peer(), h.peer()];
    take(a);
    const first = b.acquire(keys[0]!, { waitMs: 60_000 });
    const last = b.acquire(keys.at(-1)!, { waitMs: 60_000 });
    a.close();
    const rest = [held() - 1];
    expect([first.answer?.s, last.answer]).toEqual(['granted', undefined]);
    while (last.answer === undefined) rest.push(portion() - 1);
    // A little at once, then 512 at a time, and the two that went on.
    expect(rest).toEqual([2936, 2424, 1912, 1400, 888, 376, 1]);
    b.close();
  });

  it('keeps nobody from using keys that are not freed yet: they are held', () => {
    const [a, b] = [h.peer(), h.peer()];
    take(a);
    a.close();
    const key = keys.at(-1)!;
    expect(b.acquire(key).answer).toEqual({ s: 'timeout' });
    h.advance(0);
    expect(b.acquire(key).answer).toMatchObject({ s: 'granted' });
    b.close();
  });

  it('stays held when its session ends without auto-release', () => {
    const a = h.peer();
    take(a);
    a.close({ autoRelease: false });
    h.advance(0);
    expect(held()).toBe(MANY);
  });

  it('of places leaves the queues in portions; a slot that comes to one goes on to the next', () => {
    const [a, b, c] = [h.peer(), h.peer(), h.peer()];
    take(a);
    keys.forEach((key) => b.enqueue(key));
    const next = c.acquire(keys.at(-1)!, { waitMs: 60_000 });
    b.close({ autoRelease: false });
    const { answer } = a.asked.at(-1)!;
    a.release(keys.at(-1)!, (answer as { token: string }).token);
    expect(next.answer).toMatchObject({ s: 'granted' });
    const rest = [];
    for (let left = MANY; left > 0; rest.push(left)) {
      h.jump(0);
      left = h.stats().locks.filter(({ waiters }) => waiters > 0).length;
    }
    expect(rest).toEqual([2423, 1911, 1399, 887, 375, 0]);
    a.close();
    c.close();
  });

  it('that was granted to places that nobody waits for is freed with them', () => {
    const [a, b] = [h.peer(), h.peer()];
    keys.forEach((key) => a.enqueue(key));
    expect(held()).toBe(MANY);
    a.close();
    h.advance(0);
    expect(held()).toBe(0);
    b.close();
  });

  it('is swept in portions when its leases end in one moment', () => {
    take(h.peer(), 500);
    h.now += 1_000;
    h.seen = h.now;
    const rest = [];
    for (let left = MANY; left > 0; rest.push(left)) left = portion();
    // Noticed and swept in the same call, because the tick has passed.
    expect(rest).toEqual([2488, 1976, 1464, 952, 440, 0]);
  });

  it('is swept in portions when its leases have ended before the sweep, too', () => {
    take(h.peer(), 500);
    h.now += 600;
    h.seen = h.now;
    h.jump(0);
    expect(footprint(h.engine)).toMatchObject({ running: MANY - 512, lapsed: 512 });
    while (h.engine.nextWake() <= h.now) h.jump(0);
    expect(held()).toBe(MANY);
    h.now += 400;
    h.seen = h.now;
    const rest = [];
    for (let left = MANY; left > 0; rest.push(left)) left = portion();
    expect(rest).toEqual([2488, 1976, 1464, 952, 440, 0]);
  });

  it('is forgotten in portions', () => {
    const a = h.peer();
    take(a);
    a.close();
    h.advance(0);
    h.now += 5_001;
    const known = (): number => h.stats().idle_locks.length;
    h.jump(0);
    expect(known()).toBe(MANY - 512);
    h.jump(0);
    expect(known()).toBe(MANY - 1024);
  });

  it('of waits is answered in portions, and everybody in the order of the deadlines', () => {
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(lock('busy'), { leaseMs: 100_000 });
    const asked = Array.from({ length: 300 }, (_, i) => b.acquire(lock('busy'), { waitMs: 1_000 + i / 1_000 }));
    const before = h.answered.length;
    h.now += 2_000;
    h.jump(0);
    expect(h.answered.slice(before)).toEqual(asked.slice(0, 128));
    h.advance(0);
    expect(asked.every(({ answer }) => answer?.s === 'timeout')).toBe(true);
    a.close();
    b.close();
  });
});

describe('a table of very many keys', () => {
  const { set } = Map.prototype;
  afterEach(() => {
    Map.prototype.set = set;
  });

  it('never grows in one go: no map of it becomes large', () => {
    const KEYS = 50_000;
    const h = new EngineHarness({ maxLocks: 2 * KEYS });
    const [a, b] = [h.peer(), h.peer()];
    let largest = 0;
    Map.prototype.set = function (key: unknown, value: unknown) {
      largest = Math.max(largest, this.size + 1);
      return set.call(this, key, value);
    };
    for (let i = 0; i < KEYS; i++) a.acquire(lock(`key:${i}`));
    Map.prototype.set = set;
    expect(largest).toBeLessThanOrEqual(8192);
    expect(h.stats().locks).toHaveLength(KEYS);
    expect(b.acquire(lock('key:49999')).answer).toEqual({ s: 'timeout' });
  });
});

/** The slots of one semaphore are as many as its limit, which a client chooses. */
describe('a semaphore with very many holders', () => {
  const SLOTS = 20_000;
  const pool = sem('pool', 1_000_000);

  /** All their leases have ended, and the sweep has not come yet. */
  const lapsed = () => {
    const h = new EngineHarness();
    const [crowd, other] = [h.peer(), h.peer()];
    for (let i = 0; i < SLOTS; i++) crowd.acquire(pool, { leaseMs: 100 });
    other.acquire(lock('other'), { leaseMs: 100 });
    const waiter = h.peer().acquire(lock('other'), { waitMs: 60_000 });
    const held = (): number => h.stats().semaphores.find(({ key }) => key === 'pool')?.holders ?? 0;
    h.now += 500;
    h.seen = h.now;
    let portions = 0;
    for (; h.engine.nextWake() <= h.now; portions++) h.engine.advance(h.now, h.seen);
    expect(portions).toBeGreaterThanOrEqual(Math.floor(SLOTS / 512));
    expect(held()).toBe(SLOTS);
    return { h, held, waiter };
  };

  it('is swept in portions, and other keys do not wait for all of it', () => {
    const { h, held, waiter } = lapsed();
    h.now += 600;
    h.seen = h.now;
    let served = -1;
    for (let before = held(), i = 0; before > 0; before = held(), i++) {
      expect(h.engine.nextWake()).toBeLessThanOrEqual(h.now);
      h.engine.advance(h.now, h.seen);
      expect(before - held()).toBeLessThanOrEqual(512);
      if (waiter.answer && served < 0) served = i;
    }
    expect(served).toBeGreaterThanOrEqual(0);
    expect(served).toBeLessThanOrEqual(1);
    checkInvariants(h.engine);
  });

  it('is cleared in portions by those who ask for a slot, who get one', () => {
    const { h, held } = lapsed();
    expect(h.peer().acquire(pool).answer?.s).toBe('granted');
    expect(SLOTS - held()).toBeGreaterThan(0);
    expect(SLOTS - held()).toBeLessThanOrEqual(512);
  });
});
