import { describe, expect, it } from '@jest/globals';
import type { Session } from '../../../lib/core/session.js';
import { EngineHarness, lock, sem, tokenOf } from '../../support/engine-harness.js';

/** Spec 5: the exact text. */
describe('stats', () => {
  const text = (h: EngineHarness, connections = 0): string => h.engine.stats(connections, h.now);

  it('of an engine that knows nothing', () => {
    expect(text(new EngineHarness(), 3)).toBe(
      '{"connections":3,"locks":[],"semaphores":[],"idle_locks":[],"idle_semaphores":[],"signal_channels":[]}',
    );
  });

  it('has everything in the order of the original', () => {
    const h = new EngineHarness();
    const [a, b, c] = [h.peer(), h.peer(), h.peer()];
    b.release(lock('idle lock'), tokenOf(b.acquire(lock('idle lock'))));
    h.advance(250.5);
    b.release(sem('idle sem', 2), tokenOf(b.acquire(sem('idle sem', 2))));
    b.acquire(lock('held'), { leaseMs: 10_000 });
    a.acquire(lock('held'), { waitMs: 60_000 });
    a.enqueue(lock('held'));
    c.acquire(sem('pool', 3));
    c.acquire(sem('pool', 3));
    a.listen('x');
    a.listen('x.*', 'workers');
    h.advance(1_234.25);
    expect(text(h, 7)).toBe(
      '{"connections":7,' +
        '"locks":[{"key":"held","owner_conn_id":2,"lease_expires_in_s":8.76575,"waiters":2}],' +
        '"semaphores":[{"key":"pool","limit":3,"holders":2,"waiters":0}],' +
        '"idle_locks":[{"key":"idle lock","idle_s":1.48475}],' +
        '"idle_semaphores":[{"key":"idle sem","idle_s":1.23425}],' +
        '"signal_channels":[{"pattern":"x","listeners":1},{"pattern":"x.*","group":"workers","listeners":1}]}',
    );
  });

  it('lists a semaphore of limit 1 under locks, beside the lock of that name', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(lock('k'), { leaseMs: 1_000 });
    const token = tokenOf(b.acquire(sem('k', 1), { leaseMs: 2_000 }));
    expect(text(h)).toContain(
      '"locks":[{"key":"k","owner_conn_id":1,"lease_expires_in_s":1,"waiters":0},' +
        '{"key":"k","owner_conn_id":2,"lease_expires_in_s":2,"waiters":0}],"semaphores":[]',
    );
    b.release(sem('k', 1), token);
    expect(text(h)).toContain('"idle_locks":[{"key":"k","idle_s":0}],"idle_semaphores":[]');
  });

  it('lists a lapsed holder that is not swept with lease 0', () => {
    const h = new EngineHarness();
    h.peer().acquire(lock('k'), { leaseMs: 100 });
    h.advance(700);
    expect(text(h)).toContain('"locks":[{"key":"k","owner_conn_id":1,"lease_expires_in_s":0,"waiters":0}]');
  });

  it('lists waiters without a holder with owner 0 and lease 0', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(lock('k'));
    b.enqueue(lock('k'));
    h.drain();
    a.close();
    expect(text(h)).toContain('"locks":[{"key":"k","owner_conn_id":0,"lease_expires_in_s":0,"waiters":1}]');
  });

  it('writes limits of 64 bits in full', () => {
    const h = new EngineHarness();
    h.peer().acquire(sem('s', 9223372036854775807n));
    expect(text(h)).toContain('{"key":"s","limit":9223372036854775807,"holders":1,"waiters":0}');
  });

  it('names the owner by its number, also after it has gone', () => {
    const h = new EngineHarness();
    h.peer().close();
    const second = h.peer();
    second.acquire(lock('k'));
    second.close({ autoRelease: false });
    expect(h.stats().locks).toMatchObject([{ owner_conn_id: 2 }]);
  });

  it('counts listeners for each pattern and for each of its groups', () => {
    const h = new EngineHarness();
    const [a, b] = [h.peer(), h.peer()];
    for (const peer of [a, b]) {
      peer.listen('c');
      peer.listen('c', 'g');
    }
    a.listen('c', 'h');
    expect(h.stats().signal_channels).toEqual([
      { pattern: 'c', listeners: 2 },
      { pattern: 'c', group: 'g', listeners: 2 },
      { pattern: 'c', group: 'h', listeners: 1 },
    ]);
    a.unlisten('c', 'h');
    b.unlisten('c');
    expect(h.stats().signal_channels).toEqual([
      { pattern: 'c', listeners: 1 },
      { pattern: 'c', group: 'g', listeners: 2 },
    ]);
  });

  it('escapes keys, patterns and groups', () => {
    const h = new EngineHarness();
    h.peer().acquire(lock('<a&"b">'));
    h.peer().listen('p<', 'g>');
    expect(text(h)).toContain(String.raw`"key":"\u003ca\u0026\"b\"\u003e"`);
    expect(text(h)).toContain(String.raw`{"pattern":"p\u003c","group":"g\u003e","listeners":1}`);
  });
});

/** Row 1 of the load faults: a text of 2^29 characters, made in one go. */
describe('a walk through all that stats tells', () => {
  const never = (): boolean => false;

  /** What it hands on, portion by portion. */
  const begin = (h: EngineHarness) => {
    const told: Record<string, string[]> = {};
    let bytes = 0;
    const walk = h.engine.statsWalk((list, entries) => {
      bytes += entries.length;
      for (const { key, pattern, group } of JSON.parse(`[${entries}]`) as Record<string, string>[]) {
        (told[list] ??= []).push(key ?? `${pattern} ${group ?? ''}`);
      }
    });
    return { told, bytes: () => bytes, step: (isOver = never) => walk.proceed(h.now, isOver) };
  };
  const keysOf = (told: Record<string, string[]>): string[] => Object.values(told).flat();
  const fill = (h: EngineHarness, count: number, name = (i: number) => `k${i}`): void => {
    const peer = h.peer();
    for (let i = 0; i < count; i++) peer.acquire(i % 3 ? lock(name(i)) : sem(name(i), 2));
  };

  it('takes so many keys at a time', () => {
    const h = new EngineHarness({ maxLocks: 10_000 });
    fill(h, 10_000);
    const { told, step } = begin(h);
    let portions = 1;
    while (!step()) portions++;
    expect(portions).toBeGreaterThanOrEqual(10_000 / 1024);
    expect(new Set(keysOf(told)).size).toBe(10_000);
  });

  it('takes fewer where they are long', () => {
    const h = new EngineHarness();
    fill(h, 1_000, (i) => `${i}`.padStart(256, '\xff'));
    const { bytes, step } = begin(h);
    let portions = 1;
    for (let before = 0; !step(); before = bytes(), portions++) {
      expect(bytes() - before).toBeLessThan(3 * 64 * 1024);
    }
    expect(portions).toBeGreaterThan(20);
    expect(bytes()).toBeGreaterThan(1_000 * 6 * 250);
  });

  it('stops soon when it is told that its time is over', () => {
    const h = new EngineHarness();
    fill(h, 1_000);
    const { step } = begin(h);
    let steps = 1;
    while (!step(() => true)) steps++;
    expect(steps).toBeGreaterThanOrEqual(Math.floor(1_000 / 16));
  });

  it('tells what is there from its beginning to its end, and nothing twice', () => {
    const h = new EngineHarness({ maxLocks: 20_000 });
    fill(h, 9_000);
    const peer = h.peer();
    for (let i = 0; i < 100; i++) {
      peer.listen(`c${i}`, i % 2 ? 'g' : '');
      peer.listen(`c.*.${i}`);
    }
    const staying = lock('stays');
    h.peer().acquire(staying);
    const { told, step } = begin(h);
    expect(step()).toBe(false);
    // All are idle, forgotten, and taken again; and more come.
    for (const each of [...(h.engine as unknown as { sessions: Set<Session> }).sessions]) {
      if (each !== peer.session && each.holds.size > 1) h.engine.close(each, h.now, true);
    }
    h.advance(200_000);
    fill(h, 12_000);
    peer.unlisten('c0');
    peer.listen('c0');
    peer.listen('c0', 'late');
    while (!step());
    const keys = keysOf(told);
    expect(new Set(keys).size).toBe(keys.length);
    expect(told['signal_channels']).toHaveLength(199);
  });
});
