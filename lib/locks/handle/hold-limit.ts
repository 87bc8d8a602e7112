import type { LockBackend } from '../../backends/backend.js';
import type { Alarm } from '../../common/alarms.js';
import type { Ms } from '../../common/system.js';
import { transitions } from '../../common/transitions.js';
import { releaseAll } from './release-all.js';
import type { Lease } from '../lease/lease.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';

/** Minimum time, in milliseconds, that an overdue body has to stop before another caller gets the lock. */
const MIN_LAST_LEASE_MS = 1000;

/** running. lapsing: the holder has been told, and the last lease is running. over. */
export type LimitState = 'running' | 'lapsing' | 'over';

export const nextLimitState = transitions<LimitState, 'lapse' | 'end'>('a hold limit', {
  running: { lapse: 'lapsing', end: 'over' },
  lapsing: { end: 'over' },
  over: { end: 'over' },
});

/**
 * The longest time for which a body may hold its lock (`maxHoldS`), by the monotonic clock. Without it, renewals would
 * keep the lock of a body that never settles for as long as the process lives.
 */
export class HoldLimit implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  private state: LimitState = 'running';
  /** When the body becomes overdue; Infinity once the hold has ended otherwise. */
  private endsAt: Ms;

  /**
   * @param since when the lock was granted
   * @param overdue tells the holder and calls lapse()
   */
  constructor(
    private readonly keeper: LeaseKeeper,
    private readonly leases: readonly Lease[],
    since: Ms,
    maxHoldMs: Ms,
    private readonly overdue: () => void,
  ) {
    this.endsAt = since + maxHoldMs;
    keeper.alarms.set(this, this.endsAt);
  }

  /** 0 once the time is up, whether or not the alarm has rung; Infinity once the hold has ended otherwise. */
  get remainingMs(): Ms {
    return Math.max(0, this.endsAt - this.keeper.clock.now());
  }

  /** Checks the limit now, in case a stall has delayed the alarm. */
  look(): void {
    if (this.state === 'running' && this.remainingMs === 0) this.overdue();
  }

  ring(): void {
    if (this.state === 'running') this.overdue();
    else this.giveBack();
  }

  /** The hold has ended otherwise. */
  cancel(): void {
    this.endsAt = Infinity;
    this.end();
  }

  /**
   * Renews the ended leases one last time, to the shortest lease possible, which bounds what a crash would leave
   * behind. When that time is over they are released, whatever became of the renewal, so that nobody is blocked for
   * longer.
   */
  lapse(): void {
    if (this.state !== 'running') return;
    this.state = nextLimitState(this.state, 'lapse');
    const { clock, backend, alarms } = this.keeper;
    const leaseMs = Math.max(MIN_LAST_LEASE_MS, backend.capabilities.minLeaseMs);
    for (const lease of this.leases) void this.renewLast(backend, lease, leaseMs);
    alarms.set(this, clock.now() + leaseMs);
  }

  /** The holder has stopped, or its time is over. */
  giveBack(): void {
    if (this.state === 'over') return;
    this.end();
    void releaseAll(this.keeper.backend, this.leases);
  }

  private end(): void {
    this.state = nextLimitState(this.state, 'end');
    this.keeper.alarms.cancel(this);
  }

  /** Waits for a renewal under way, which would otherwise override the last one. */
  private async renewLast(backend: LockBackend, lease: Lease, leaseMs: Ms): Promise<void> {
    await lease.underWay;
    // A draining server would close the connection, and release the lock, at once.
    if (this.state !== 'lapsing' || lease.isDraining) return;
    try {
      await backend.renew(lease.grant, leaseMs);
    } catch {
      // The holder has been told already.
    }
  }
}
