import type { LockBackend } from '../../backends/backend.js';
import { afterMicrotasks, type Clock, type Ms } from '../../common/system.js';
import type { LeaseRenewal } from './lease-renewal.js';

export interface Renewable {
  /**
   * Its turn has come: begins its renewal, if it is still wanted.
   * @param now not later than the current time
   */
  renewNow(now: Ms): LeaseRenewal | undefined;
}

/** Number of renewals sent in one turn of the event loop, and so in one write (rule 6). */
export const RENEWALS_PER_TURN = 1000;

/** Splits renewals that are due together into portions. Between two, replies are read and other work is done. */
export class RenewalQueue {
  private waiting: Renewable[] = [];
  private sent = 0;
  /** Those of this turn that have not been sent yet. */
  private batch: LeaseRenewal[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly backend: Pick<LockBackend, 'renew' | 'renewAll'>,
  ) {}

  /** Number of renewals waiting for a later turn. */
  get size(): number {
    return this.waiting.length;
  }

  /** Sends in this turn if there is room, otherwise in one of the next. */
  push(renewable: Renewable, now: Ms): void {
    if (this.sent === RENEWALS_PER_TURN) {
      this.waiting.push(renewable);
      return;
    }
    if (this.sent++ === 0) this.clock.endOfTurn(this.nextTurn);
    const renewal = renewable.renewNow(now);
    if (!renewal) return;
    if (!this.backend.renewAll) renewal.send(this.backend);
    else if (this.batch.push(renewal) === 1) afterMicrotasks(this.flush);
  }

  private readonly flush = (): void => {
    const { batch } = this;
    this.batch = [];
    const renewals = batch.filter((renewal) => renewal.confirm());
    if (renewals.length === 0) return;
    try {
      this.backend.renewAll!(renewals);
    } catch (error) {
      for (const renewal of renewals) renewal.failed(error);
    }
  };

  private readonly nextTurn = (): void => {
    this.sent = 0;
    if (this.waiting.length === 0) return;
    const now = this.clock.now();
    for (const renewable of this.waiting.splice(0, RENEWALS_PER_TURN)) this.push(renewable, now);
  };
}
