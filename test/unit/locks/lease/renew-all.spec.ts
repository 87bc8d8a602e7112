import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RenewalRequest } from '../../../../lib/backends/backend.js';
import { LockUnavailableError } from '../../../../lib/common/errors.js';
import type { Lease, LeaseHolder } from '../../../../lib/locks/lease/lease.js';
import { LeaseKeeper } from '../../../../lib/locks/lease/lease-keeper.js';
import { RENEWALS_PER_TURN } from '../../../../lib/locks/lease/renewal-queue.js';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';
import { FakeBackend, rejected } from '../support/fake-backend.js';

/** Takes renewals together, and answers them when a test says so. */
class BulkBackend extends FakeBackend {
  readonly calls: (readonly RenewalRequest[])[] = [];
  /** What it does with them. */
  onRenewAll: (requests: readonly RenewalRequest[]) => void = () => undefined;

  renewAll(requests: readonly RenewalRequest[]): void {
    this.calls.push(requests);
    this.log.push(`renewAll ${requests.map(({ grant, leaseMs }) => `${grant.token}:${leaseMs}`).join(' ')}`);
    this.onRenewAll(requests);
  }
}

let clock: FakeClock;
let backend: BulkBackend;
let keeper: LeaseKeeper;
let told: string[];

const holder: LeaseHolder = {
  renewed: (leaseMs) => told.push(`renewed ${leaseMs}`),
  lost: (lease, reason) => told.push(`lost ${lease.grant.token} ${reason}`),
  draining: (error) => told.push(`draining ${error.server}`),
};

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  backend = new BulkBackend(clock);
  keeper = new LeaseKeeper(backend, clock, { unit: () => 0, fill: () => undefined }, 0.5);
  told = [];
});

const lease = (leaseMs = 10_000): Lease => {
  const grant = backend.grantFor({ key: 'k', kind: 'lock', limit: 1, leaseMs, deadline: 0 });
  const kept = keeper.keep(grant, leaseMs, 'auto');
  kept.handTo(holder, 'auto');
  return kept;
};

const away = (): LockUnavailableError => new LockUnavailableError('away');

/** Three leases, and the requests for their renewal. */
async function three(): Promise<[leases: Lease[], requests: readonly RenewalRequest[]]> {
  const leases = [lease(), lease(), lease()];
  await clock.advanceAsync(5000);
  return [leases, backend.calls.at(-1)!];
}

describe('leases of a backend that renews many at once', () => {
  it('are renewed in one call when they are due together', async () => {
    const [leases, requests] = await three();
    expect(backend.log).toEqual(['renewAll 1:10000 2:10000 3:10000']);
    expect(requests.map(({ grant }) => grant)).toEqual(leases.map(({ grant }) => grant));
  });

  it('are renewed, told and planned anew in the turn of the answer', async () => {
    const [[first, second], requests] = await three();
    requests[0]!.renewed({ validFrom: 5900, leaseMs: 20_000 });
    expect(told).toEqual(['renewed 20000']);
    expect([first!.sureUntil, second!.sureUntil]).toEqual([5900 + 20_000 - 400, 1000 + 10_000 - 200]);
    await clock.advanceAsync(9899);
    expect(backend.calls).toHaveLength(1);
    await clock.advanceAsync(1);
    expect(backend.log.at(-1)).toBe('renewAll 1:10000');
  });

  it('are lost in the turn in which the backend says so', async () => {
    const [leases, requests] = await three();
    requests[1]!.failed(rejected('k'));
    expect(told).toEqual(['lost 2 rejected']);
    expect(leases.map(({ isHeld }) => isHeld)).toEqual([true, false, true]);
    expect(backend.log.at(-1)).toBe('abandon 2');
  });

  it('are tried again, sooner and sooner, as long as they are sure', async () => {
    const at: number[] = [];
    backend.onRenewAll = ([request]) => {
      at.push(clock.now() - 1000);
      request!.failed(away());
    };
    lease();
    await clock.advanceAsync(8900);
    expect(at.slice(0, 3)).toEqual([5000, 6200, 7100]);
    expect(told).toEqual([]);
    await clock.advanceAsync(900);
    expect(told).toEqual(['lost 1 expired']);
  });

  it('are lost with their proof when no answer comes', async () => {
    await three();
    await clock.advanceAsync(4799);
    expect(told).toEqual([]);
    await clock.advanceAsync(1);
    expect(told).toEqual(['lost 1 expired', 'lost 2 expired', 'lost 3 expired']);
    expect(backend.calls).toHaveLength(1);
  });

  it('may be answered before the call returns', async () => {
    backend.onRenewAll = (requests) => {
      for (const request of requests) request.renewed({ validFrom: clock.now(), leaseMs: request.leaseMs });
    };
    const l = lease();
    await clock.advanceAsync(50_000);
    expect(backend.calls).toHaveLength(10);
    expect([l.isHeld, told.length]).toEqual([true, 10]);
  });

  it('take the first answer, and no other', async () => {
    const [[first, second], requests] = await three();
    requests[0]!.renewed({ validFrom: 6000, leaseMs: 10_000 });
    requests[0]!.failed(rejected('k'));
    requests[1]!.failed(away());
    requests[1]!.renewed({ validFrom: 1_000_000, leaseMs: 10_000 });
    expect([first!.isHeld, second!.sureUntil, told]).toEqual([true, 10_800, ['renewed 10000']]);
    // Nor does a late one count for the renewal that follows.
    await clock.advanceAsync(1200);
    requests[1]!.failed(rejected('k'));
    expect([second!.isHeld, backend.log.at(-1)]).toEqual([true, 'renewAll 2:10000']);
  });

  it('fail where the backend throws, but for those that it has answered', async () => {
    backend.onRenewAll = ([first]) => {
      first!.renewed({ validFrom: clock.now(), leaseMs: 10_000 });
      throw away();
    };
    const [leases] = await three();
    expect(told).toEqual(['renewed 10000']);
    expect(leases.map(({ underWay }) => underWay)).toEqual([undefined, undefined, undefined]);
    await clock.advanceAsync(1200);
    expect(backend.log.at(-1)).toBe('renewAll 2:10000 3:10000');
  });

  it('are not renewed when they end in the same turn', async () => {
    const leases = [lease(), lease()];
    keeper.hurry();
    clock.advance(0);
    leases[0]!.end();
    await settlePromises();
    expect(backend.log).toEqual(['renewAll 2:10000']);
    leases[1]!.end();
    keeper.hurry();
    await clock.advanceAsync(0);
    expect(backend.calls).toHaveLength(1);
  });

  it('that end while they are being answered are not renewed, lost or told', async () => {
    const [leases, requests] = await three();
    leases[0]!.end();
    leases[1]!.end();
    requests[0]!.renewed({ validFrom: 6000, leaseMs: 10_000 });
    requests[1]!.failed(rejected('k'));
    requests[2]!.renewed({ validFrom: 6000, leaseMs: 10_000 });
    expect(told).toEqual(['renewed 10000']);
    expect(keeper.times.size).toBe(1);
  });

  it('on a server that drains are not renewed any more, not even in the turn in which it is told', async () => {
    const l = lease();
    keeper.hurry();
    clock.advance(0);
    keeper.drain('fake');
    await clock.advanceAsync(0);
    expect([backend.calls, l.isHeld, l.underWay]).toEqual([[], true, undefined]);
    await clock.advanceAsync(9800);
    expect(told).toEqual(['draining fake', 'lost 1 draining']);
  });

  it('are renewed in portions, each in a turn of its own', async () => {
    for (let i = 0; i < 2 * RENEWALS_PER_TURN + 1; i++) lease();
    keeper.hurry();
    await clock.advanceAsync(0);
    await settlePromises();
    expect(backend.calls.map(({ length }) => length)).toEqual([RENEWALS_PER_TURN, RENEWALS_PER_TURN, 1]);
  });

  it('are renewed alone for a caller, after the renewal under way', async () => {
    const [[first], requests] = await three();
    const renewed = first!.renew(20_000);
    await settlePromises();
    expect(backend.log).toEqual(['renewAll 1:10000 2:10000 3:10000']);
    requests[0]!.renewed({ validFrom: 6000, leaseMs: 10_000 });
    expect(await renewed).toBe(20_000 - 400);
    expect(backend.log.at(-1)).toBe('renew 1 20000');
  });
});
