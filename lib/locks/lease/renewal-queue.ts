import type { Clock, Ms } from '../../common/system.js';

/** Sends one renewal when told to. */
export interface Renewable {
  /** @param now not later than the current time */
  renewNow(now: Ms): void;
}

/** Number of renewals sent in one turn of the event loop, and so in one write (rule 6). */
export const RENEWALS_PER_TURN = 1000;

/** Splits renewals that are due together into portions. Between two, replies are read and other work is done. */
export class RenewalQueue {
  private waiting: Renewable[] = [];
  private sent = 0;

  constructor(private readonly clock: Clock) {}

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
    renewable.renewNow(now);
  }

  private readonly nextTurn = (): void => {
    this.sent = 0;
    if (this.waiting.length === 0) return;
    const now = this.clock.now();
    for (const renewable of this.waiting.splice(0, RENEWALS_PER_TURN)) this.push(renewable, now);
  };
}
