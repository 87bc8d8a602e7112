import type { Clock } from '../../common/system.js';

/** Something that sends one renewal when it is told to. */
export interface Renewable {
  renewNow(): void;
}

/** How many renewals leave in one turn of the event loop, and so in one write (rule 6). */
export const RENEWALS_PER_TURN = 1000;

/** Lets renewals that are due together leave in portions: between two, answers are read and other work is done. */
export class RenewalQueue {
  private waiting: Renewable[] = [];
  private sent = 0;

  constructor(private readonly clock: Clock) {}

  /** How many wait for a later turn. */
  get size(): number {
    return this.waiting.length;
  }

  /** Sends in this turn if there is room, otherwise in one of the next. */
  push(renewable: Renewable): void {
    if (this.sent === RENEWALS_PER_TURN) {
      this.waiting.push(renewable);
      return;
    }
    if (this.sent++ === 0) this.clock.endOfTurn(this.nextTurn);
    renewable.renewNow();
  }

  private readonly nextTurn = (): void => {
    this.sent = 0;
    for (const renewable of this.waiting.splice(0, RENEWALS_PER_TURN)) this.push(renewable);
  };
}
