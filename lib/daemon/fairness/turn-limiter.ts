import type { Clock } from '../../common/system.js';

/**
 * Limits work of one kind per turn of the event loop; the rest is done in later turns, first come, first served. When a
 * crowd of clients arrives or leaves at once, its members wait for each other, and other clients do not wait for them.
 */
export class TurnLimiter {
  private readonly waiting: (() => void)[] = [];
  /** Work done in this turn. */
  private done = 0;
  private turning = false;

  /** @param later runs after work that had to wait has been done */
  constructor(
    private readonly clock: Clock,
    private readonly perTurn: number,
    private readonly later: () => void = () => undefined,
  ) {}

  /** @param work must not throw */
  do(work: () => void): void {
    this.awaitTurn();
    if (this.waiting.length > 0 || this.done >= this.perTurn) {
      this.waiting.push(work);
      return;
    }
    this.done++;
    work();
  }

  private awaitTurn(): void {
    if (this.turning) return;
    this.turning = true;
    this.clock.endOfTurn(this.next);
  }

  private readonly next = (): void => {
    const portion = this.waiting.splice(0, this.perTurn);
    this.done = portion.length;
    this.turning = false;
    if (portion.length > 0) this.awaitTurn();
    for (const work of portion) work();
    if (portion.length > 0) this.later();
  };
}
