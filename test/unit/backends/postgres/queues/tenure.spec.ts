import { beforeEach, describe, expect, it } from '@jest/globals';
import type { QueueConfig } from '../../../../../lib/backends/postgres/queues/queue-site.js';
import { SlotTenure } from '../../../../../lib/backends/postgres/queues/slot-tenure.js';
import { mayHandOn, Tenure, type TenureKeeper } from '../../../../../lib/backends/postgres/queues/tenure.js';
import type { Session } from '../../../../../lib/backends/postgres/sessions/session.js';
import { FakeClock } from '../../../../support/fake-clock.js';

const keeper: TenureKeeper = { release: () => undefined };

let clock: FakeClock;
let session: { isEnded: boolean; provenUntil: () => number };

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  session = { isEnded: false, provenUntil: () => 11_000 };
});

describe('a tenure', () => {
  const config = { localTurns: 2, localMs: 100, sessionTimeoutMs: 10_000 } as QueueConfig;
  let tenure: Tenure;
  const may = (): boolean => mayHandOn(tenure, { clock, config });

  beforeEach(() => {
    tenure = new Tenure(keeper, 7n, session as Session, 1_000_000n, 990, clock.now());
  });

  it('is handed on for localTurns', () => {
    expect(may()).toBe(true);
    tenure.turn = 1;
    expect(may()).toBe(true);
    tenure.turn = 2;
    expect(may()).toBe(false);
  });

  it('is handed on for localMs after the grant', () => {
    session.provenUntil = () => 60_000;
    clock.stall(99);
    expect(may()).toBe(true);
    clock.stall(1);
    expect(may()).toBe(false);
  });

  it('is handed on while its session is proven for half of its time at least', () => {
    session.provenUntil = () => 6000;
    expect(may()).toBe(true);
    session.provenUntil = () => 5999;
    expect(may()).toBe(false);
  });

  it('is not handed on once its session has ended, or if it is kept', () => {
    tenure.isKept = true;
    expect(may()).toBe(false);
    tenure.isKept = false;
    session.isEnded = true;
    expect(may()).toBe(false);
  });

  it('has a higher fence at each turn', () => {
    expect(tenure.fence).toBe(1_000_000n);
    tenure.turn = 3;
    expect(tenure.fence).toBe(1_000_003n);
  });
});

describe('the fence of a slot', () => {
  const last = { lastFence: 0n };
  const slot = (fence: bigint): SlotTenure =>
    new SlotTenure(keeper, { slot: 7n, session: session as Session, fence, sentAt: 990 }, clock, last);

  beforeEach(() => {
    last.lastFence = 0n;
  });

  it('is that of the grant at the first turn, however late it is asked for', () => {
    const tenure = slot(5_000_000_000n);
    clock.stall(10);
    expect([tenure.fence, last.lastFence]).toEqual([5_000_000_000n, 5_000_000_000n]);
    expect([tenure.id, tenure.validFrom, tenure.since]).toEqual([7n, 990, 1000]);
  });

  it('follows the time since the grant at each later turn, and stays the same within one', () => {
    const tenure = slot(5_000_000_000n);
    expect(tenure.fence).toBe(5_000_000_000n);
    clock.stall(2.5);
    tenure.turn++;
    expect(tenure.fence).toBe(5_002_500_000n);
    clock.stall(7);
    expect([tenure.fence, last.lastFence]).toEqual([5_002_500_000n, 5_002_500_000n]);
    tenure.turn++;
    expect(tenure.fence).toBe(5_009_500_000n);
  });

  it('is known at a later turn too, if nobody asked at the first', () => {
    const tenure = slot(5_000_000_000n);
    tenure.turn = 1;
    clock.stall(1);
    expect(tenure.fence).toBe(5_001_000_000n);
  });

  it('is higher than every other of the semaphore in this process', () => {
    last.lastFence = 5_000_000_000n;
    expect(slot(5_000_000_000n).fence).toBe(5_000_000_001n);
    expect(slot(4_000_000_000n).fence).toBe(5_000_000_002n);
    const tenure = slot(5_000_000_003n);
    expect(tenure.fence).toBe(5_000_000_003n);
    tenure.turn++;
    expect([tenure.fence, last.lastFence]).toEqual([5_000_000_004n, 5_000_000_004n]);
  });
});
