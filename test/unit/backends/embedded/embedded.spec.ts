import { afterEach, describe, expect, it } from '@jest/globals';
import type { AcquireRequest } from '../../../../lib/backends/backend.js';
import { EmbeddedBackend } from '../../../../lib/backends/embedded/embedded.js';
import { ConfigError, MaxLocksError, ShuttingDownError } from '../../../../lib/common/errors.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import { resolveEmbedded } from '../../../../lib/backends/embedded/options.js';
import { FakeClock, FakeEntropy, settlePromises } from '../../../support/fake-clock.js';
import { enqueue, release } from '../../../support/lock-backend.js';

const request = (clock: FakeClock, change: Partial<AcquireRequest> = {}): AcquireRequest => ({
  key: 'k',
  kind: 'lock',
  limit: 1,
  leaseMs: 10_000,
  deadline: clock.now() + 5000,
  ...change,
});

const make = (options: Parameters<typeof resolveEmbedded>[0] = true) => {
  const clock = new FakeClock({ now: 1000 });
  return { clock, backend: new EmbeddedBackend(resolveEmbedded(options), clock, new FakeEntropy()) };
};

describe('the embedded backend on virtual time', () => {
  it('passes an expired lock on, to the millisecond of its sweep', async () => {
    const { clock, backend } = make();
    await backend.tryAcquire(request(clock, { leaseMs: 250 }));
    let granted = 0;
    const pending = enqueue(backend, request(clock), 'queue');
    void pending.grant.then(() => (granted = clock.now()));
    await clock.advanceAsync(200);
    expect(granted).toBe(0);
    await clock.advanceAsync(200);
    expect(granted).toBeGreaterThanOrEqual(1250);
    expect(granted).toBeLessThanOrEqual(1350);
  });

  it('lets fences rise with each grant', async () => {
    const { clock, backend } = make();
    const fences: bigint[] = [];
    for (let i = 0; i < 5; i++) {
      const grant = (await backend.tryAcquire(request(clock)))!;
      fences.push(grant.fence!);
      await release(backend, grant);
    }
    expect([...fences].sort((a, b) => (a < b ? -1 : 1))).toEqual(fences);
    expect(new Set(fences).size).toBe(5);
  });

  it('keeps the process alive while somebody waits, and only then', async () => {
    const { clock, backend } = make();
    const held = (await backend.tryAcquire(request(clock)))!;
    const timers = clock.pendingTimers;
    const pending = enqueue(backend, request(clock), 'queue');
    expect(clock.pendingTimers).toBeGreaterThan(timers);
    await release(backend, held);
    await release(backend, await pending.grant);
    await backend.close(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('refuses more keys than maxLocks, and says which flag', async () => {
    const { clock, backend } = make({ maxLocks: 1 });
    await backend.tryAcquire(request(clock));
    await expect(backend.tryAcquire(request(clock, { key: 'other' }))).rejects.toBeInstanceOf(MaxLocksError);
    expect(await backend.isLocked('k', 'lock')).toBe(true);
    expect(await backend.isLocked('other', 'lock')).toBe(false);
  });

  it('has nothing to give after its close', async () => {
    const { clock, backend } = make();
    const grant = (await backend.tryAcquire(request(clock)))!;
    const waiting = enqueue(backend, request(clock), 'queue');
    const outcome = expect(waiting.grant).rejects.toBeInstanceOf(ShuttingDownError);
    await backend.close(0);
    await outcome;
    await backend.close(0);
    await settlePromises();
    expect(() => enqueue(backend, request(clock), 'queue')).toThrow(ShuttingDownError);
    await expect(backend.tryAcquire(request(clock))).rejects.toBeInstanceOf(ShuttingDownError);
    await expect(backend.ping()).rejects.toBeInstanceOf(ShuttingDownError);
    expect(await release(backend, grant)).toBe('gone');
  });

  it('gives tickets a place at once, without end if so wanted', async () => {
    const { clock, backend } = make();
    const held = (await backend.tryAcquire(request(clock, { leaseMs: 1_000_000 })))!;
    const ticket = enqueue(backend, request(clock, { deadline: Infinity }), 'ticket');
    const later = enqueue(backend, request(clock, { deadline: Infinity }), 'ticket');
    expect(await ticket.placed).toBe('queued');
    await clock.advanceAsync(600_000);
    later.cancel('enough');
    await expect(later.grant).rejects.toBe('enough');
    await release(backend, held);
    const grant = await ticket.grant;
    expect(grant.validFrom).toBe(clock.now());
    expect(await release(backend, grant)).toBe('released');
    expect(backend.capabilities.tickets).toBe(true);
  });
});

describe('the options of the daemon, in this process', () => {
  const degraded = (backend: EmbeddedBackend): string[] => {
    const details: string[] = [];
    backend.onLink(({ detail }) => details.push(detail!));
    return details;
  };

  it('gcInterval and gcMaxIdle say for how long a released key counts', async () => {
    const { clock, backend } = make({ maxLocks: 1, gcInterval: 0.5, gcMaxIdle: 2 });
    await release(backend, (await backend.tryAcquire(request(clock)))!);
    const other = request(clock, { key: 'other' });
    await clock.advanceAsync(1_900);
    await expect(backend.tryAcquire(other)).rejects.toBeInstanceOf(MaxLocksError);
    await clock.advanceAsync(700);
    expect(await backend.tryAcquire(other)).not.toBeNull();
  });

  it('leaseSweepInterval says when an expired lock goes to the next waiter', async () => {
    const { clock, backend } = make({ leaseSweepInterval: 3 });
    await backend.tryAcquire(request(clock, { leaseMs: 250 }));
    const pending = enqueue(backend, request(clock), 'queue');
    let granted = false;
    void pending.grant.then(() => (granted = true));
    await clock.advanceAsync(2_900);
    expect(granted).toBe(false);
    await clock.advanceAsync(200);
    expect(granted).toBe(true);
  });

  it('maxSubscriptions bounds the patterns of this process', async () => {
    const { backend } = make({ maxSubscriptions: 2 });
    const failures: unknown[] = [];
    const taker = { signal: () => undefined, failed: (error: unknown) => void failures.push(error) };
    for (const pattern of ['a', 'b', 'c']) backend.subscribe(pattern, undefined, taker);
    expect(failures).toEqual([expect.objectContaining({ name: 'UnsupportedError' })]);
    await backend.close(0);
  });

  it('defaultLeaseTtl may be a fraction, and is whole where other processes are told it', async () => {
    for (const [listen, leaseMs] of [
      [undefined, 1_500],
      ['127.0.0.1:0', 2_000],
    ] as const) {
      const { clock, backend } = make({ listen, defaultLeaseTtl: 1.5 });
      expect(await backend.tryAcquire(request(clock, { leaseMs: 0 }))).toMatchObject({ leaseMs });
    }
  });

  it('a number of keys near maxLocks is told', async () => {
    const { clock, backend } = make({ maxLocks: 5 });
    const details = degraded(backend);
    for (let i = 0; i < 4; i++) await backend.tryAcquire(request(clock, { key: `k${i}` }));
    expect(details).toEqual([
      'close to max-locks: released keys count for about a minute; raise the limit: keys 4, maxLocks 5',
    ]);
  });
});

describe('an embedded engine with a listener', () => {
  const clients: LockClient[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0).reverse()) await client.close();
  });

  it('shares its locks with other processes, and refuses a port in use by naming `servers`', async () => {
    const inside = new EmbeddedBackend(
      resolveEmbedded({ listen: '127.0.0.1:0', authToken: 'secret' }),
      new FakeClock(),
      new FakeEntropy(),
    );
    await inside.start();
    const { port } = inside.address!;
    try {
      const second = LockClient.connect({ embedded: { listen: `127.0.0.1:${port}` } });
      await expect(second).rejects.toBeInstanceOf(ConfigError);
      await expect(second).rejects.toThrow(/servers/);
      await expect(second).rejects.toThrow(`127.0.0.1:${port}`);
    } finally {
      await inside.close(0);
    }
  });

  it('whose port is in use at its first use opens it when it is free', async () => {
    const first = new EmbeddedBackend(resolveEmbedded({ listen: '127.0.0.1:0' }), new FakeClock(), new FakeEntropy());
    await first.start();
    const second = new LockClient({ embedded: { listen: `127.0.0.1:${first.address!.port}` }, startup: 'lazy' });
    clients.push(second);
    await expect(second.acquire('k')).rejects.toBeInstanceOf(ConfigError);
    await first.close(0);
    await (await second.acquire('k')).release();
  });

  it('serves one queue to those inside and outside', async () => {
    const probe = new EmbeddedBackend(resolveEmbedded({ listen: '127.0.0.1:0' }), new FakeClock(), new FakeEntropy());
    await probe.start();
    const { port } = probe.address!;
    await probe.close(0);
    const inside = await LockClient.connect({ embedded: { listen: `127.0.0.1:${port}` } });
    clients.push(inside);
    const outside = await LockClient.connect({ servers: [`127.0.0.1:${port}`] });
    clients.push(outside);
    const lock = await inside.acquire('k');
    expect(await outside.tryAcquire('k')).toBeNull();
    const waiting = outside.acquire('k');
    await lock.release();
    const theirs = await waiting;
    expect(await inside.tryAcquire('k')).toBeNull();
    await theirs.release();
    expect(inside.capabilities).toMatchObject({ ownership: 'lease', fence: 'per-key', leaseUnitMs: 1 });
    expect(outside.capabilities).toMatchObject({ ownership: 'connection', fence: 'none', leaseUnitMs: 1000 });
    expect((await inside.stats())[0]).toMatchObject({ server: 'embedded', locks: [] });
  });
});

describe('an embedded engine with very much in it', () => {
  const refused = () => undefined;
  const taker = (failed: (error: unknown) => void) => ({ signal: () => undefined, failed });

  it('tells 100,000 keys in portions: the event loop turns between them', async () => {
    const count = 100_000;
    const { clock, backend } = make({ maxLocks: count });
    for (let i = 0; i < count; i++) await backend.tryAcquire(request(clock, { key: `k${i}`, leaseMs: 3_600_000 }));
    let turns = 0;
    let longest = 0;
    let last = process.cpuUsage();
    let over = false;
    const turn = (): void => {
      turns++;
      const { user, system } = process.cpuUsage(last);
      longest = Math.max(longest, (user + system) / 1000);
      last = process.cpuUsage();
      if (!over) setImmediate(turn);
    };
    setImmediate(turn);
    const [stats] = await backend.stats();
    over = true;
    expect(new Set(stats!.locks.map((lock) => lock.key)).size).toBe(count);
    expect(turns).toBeGreaterThan(count / 1024);
    // CPU time, since the machine may be busy. A collection may fall into one of them; all in one go takes far longer.
    expect(longest).toBeLessThan(150);
    await backend.close(0);
  });

  it('says so to who listens to more patterns than a connection may', async () => {
    const { backend } = make();
    const failures: unknown[] = [];
    for (let i = 0; i < 10_000; i++)
      backend.subscribe(
        `p${i}`,
        undefined,
        taker((error) => failures.push(error)),
      );
    expect(failures).toEqual([]);
    backend.subscribe(
      'one more',
      undefined,
      taker((error) => failures.push(error)),
    );
    expect(failures).toEqual([expect.objectContaining({ name: 'UnsupportedError' })]);
    await backend.close(0);
  });

  it('answers whoever publishes while it is closed', async () => {
    const { backend } = make();
    for (let i = 0; i < 5_000; i++) backend.subscribe('news', `g${i}`, taker(refused));
    const published = backend.publish('news', 'x');
    await backend.close(0);
    await expect(published).rejects.toBeInstanceOf(ShuttingDownError);
  });
});
