import type { Clock } from '../../../common/system.js';
import type { SlotGrant } from '../semaphores/slot-user.js';
import { Tenure, type TenureKeeper } from './tenure.js';

/** Fence units in a millisecond. */
const UNITS = 1_000_000;

/** The newest fence of a semaphore in this process. */
export interface LastFence {
  lastFence: bigint;
}

/**
 * A slot that the command session has. Others are granted meanwhile, so that the fence of a turn follows the server's clock: it is
 * higher than every fence that this process has had, and than those of other processes that are older than a round trip.
 */
export class SlotTenure extends Tenure {
  private ofTurn = -1;
  private current = 0n;

  constructor(
    keeper: TenureKeeper,
    private readonly granted: SlotGrant,
    private readonly clock: Clock,
    private readonly last: LastFence,
  ) {
    const { slot, session, fence, sentAt } = granted;
    super(keeper, slot, session, fence, sentAt, clock.now());
  }

  override get fence(): bigint {
    if (this.ofTurn !== this.turn) {
      this.ofTurn = this.turn;
      const elapsed = this.turn === 0 ? 0 : Math.round((this.clock.now() - this.since) * UNITS);
      const now = this.granted.fence + BigInt(elapsed);
      this.current = now > this.last.lastFence ? now : this.last.lastFence + 1n;
      this.last.lastFence = this.current;
    }
    return this.current;
  }
}
