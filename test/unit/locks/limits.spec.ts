import { describe, expect, it } from '@jest/globals';
import type { Capabilities, Grant, Proof } from '../../../lib/backends/backend.js';
import { ConfigError } from '../../../lib/common/errors.js';
import type { Clock, Ms } from '../../../lib/common/system.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import type { LockClientOptions } from '../../../lib/locks/options/options.js';
import { FakeClock, FakeEntropy } from '../../support/fake-clock.js';
import { FakeBackend } from './support/fake-backend.js';

/** What was asked of a backend with these capabilities. */
class Limited extends FakeBackend {
  readonly leases: Ms[] = [];
  readonly keys: string[] = [];

  constructor(clock: Clock, change: Partial<Capabilities>) {
    super(clock);
    this.capabilities = { ...this.capabilities, ...change };
    this.onEnqueue = async (req) => {
      this.leases.push(req.leaseMs);
      this.keys.push(req.key);
      return this.grantFor(req);
    };
    this.onTry = this.onEnqueue;
  }

  override renew(grant: Grant, leaseMs: Ms): Promise<Proof> {
    this.leases.push(leaseMs);
    return super.renew(grant, leaseMs);
  }
}

function clientOf(change: Partial<Capabilities>, options: Omit<LockClientOptions, 'backend'> = {}) {
  const clock = new FakeClock({ now: 1000 });
  const backend = new Limited(clock, change);
  const warnings: string[] = [];
  const client = new LockClient({ ...options, backend } as LockClientOptions, {
    clock,
    entropy: new FakeEntropy(),
    log: (_, message) => warnings.push(message),
  });
  return { client, backend, warnings, clock };
}

describe('the capabilities of a backend decide', () => {
  it('how long keys may be: what it takes arrives as it is', async () => {
    const { client, backend } = clientOf({ maxKeyBytes: 1024 });
    await client.acquire('k'.repeat(1024));
    await client.tryAcquire('t'.repeat(300));
    await client.acquire(['a'.repeat(300), 'b'.repeat(1024)]);
    expect(backend.keys).toEqual(['k'.repeat(1024), 't'.repeat(300), 'a'.repeat(300), 'b'.repeat(1024)]);
  });

  it('how long keys may be: a longer one arrives cut and hashed', async () => {
    const { client, backend } = clientOf({ maxKeyBytes: 100 });
    await client.acquire('k'.repeat(101));
    expect(backend.keys[0]).toMatch(/^k{35}#[0-9a-f]{64}$/);
  });

  it('the least lease: less is asked for as the least, everywhere', async () => {
    const { client, backend } = clientOf({ minLeaseMs: 5000 }, { leaseTtlS: 1 });
    const lock = await client.acquire('a');
    await client.acquire('b', { leaseTtlS: 2 });
    await client.tryAcquire('c', { leaseTtlS: 7 });
    expect(backend.leases).toEqual([5000, 5000, 7000]);
    await lock.renew();
    await lock.renew(3);
    await lock.renew(8);
    expect(backend.leases.slice(3)).toEqual([5000, 5000, 8000]);
  });

  it('the unit of leases: they are asked for in whole units', async () => {
    const { client, backend } = clientOf({ leaseUnitMs: 1000, minLeaseMs: 1000 });
    await client.acquire('a', { leaseTtlS: 0.1 });
    await client.acquire('b', { leaseTtlS: 2.5 });
    await client.acquire('c');
    expect(backend.leases).toEqual([1000, 3000, 0]);
  });

  it.each<[Partial<Capabilities>, number | undefined, string[]]>([
    [{ minLeaseMs: 5000 }, 1, ['leaseTtlS 1: the shortest lease of fake is 5 s, which is used']],
    [{ minLeaseMs: 5000 }, 5, []],
    [{ adviseLeaseMs: 3000 }, 2, ['leaseTtlS 2: on fake below 3 s a slow renewal costs the lock']],
    [
      { adviseLeaseMs: 3000, leaseUnitMs: 1000 },
      2.5,
      ['leaseTtlS 2.5: fake counts whole seconds; below 3 s a slow renewal costs the lock'],
    ],
    [{ adviseLeaseMs: 3000 }, 3, []],
    [{ adviseLeaseMs: 3000, minLeaseMs: 5000 }, undefined, []],
    [{}, 0.001, []],
    [{ maxStallMs: 10_000 }, 10, []],
    [
      { maxStallMs: 10_000 },
      10.5,
      ['leaseTtlS 10.5: on fake, a process that stands still for 10 s loses its locks before their leases end'],
    ],
    [{ maxStallMs: 10_000 }, undefined, []],
  ])('what a lease is warned of: %j, %p s', async (change, leaseTtlS, expected) => {
    const { client, warnings } = clientOf(change, leaseTtlS === undefined ? {} : { leaseTtlS });
    await client.start();
    expect(warnings).toEqual(expected);
  });

  it('nothing about when a lock is renewed: that is an option of the client', async () => {
    const { client, backend, clock } = clientOf({}, { renewRatio: 0.25, leaseTtlS: 20 });
    await client.acquire('a');
    backend.leases.length = 0;
    await clock.advanceAsync(4000);
    expect(backend.leases).toEqual([]);
    await clock.advanceAsync(1001);
    expect(backend.leases).toEqual([20_000]);
  });

  it('whether there are semaphores', async () => {
    const { client } = clientOf({ semaphores: false });
    await client.start();
    await expect(client.acquire('a', { limit: 2 })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it.each<[Record<string, unknown>, string]>([
    [
      { maxKeyBytes: 64 },
      'option backend.capabilities.maxKeyBytes: expected an integer of at least 65, or Infinity, got 64',
    ],
    [{ maxKeyBytes: undefined }, 'option backend.capabilities.maxKeyBytes: expected an integer'],
    [{ maxKeyBytes: '256' }, 'option backend.capabilities.maxKeyBytes: expected an integer'],
    [{ minLeaseMs: -1 }, 'option backend.capabilities.minLeaseMs: expected a number of at least 0, got -1'],
    [{ leaseUnitMs: undefined }, 'option backend.capabilities.leaseUnitMs: expected a number of at least 0'],
    [{ adviseLeaseMs: '3' }, 'option backend.capabilities.adviseLeaseMs: expected a number of at least 0'],
    [{ maxStallMs: -1 }, 'option backend.capabilities.maxStallMs: expected a number of at least 0, got -1'],
  ])('and make no client if they are none: %j', (change, message) => {
    expect(() => clientOf(change as Partial<Capabilities>)).toThrow(ConfigError);
    expect(() => clientOf(change as Partial<Capabilities>)).toThrow(message);
  });
});
