import type { Clock } from '../common/system.js';

/**
 * Bounds what a turn of the event loop does of one kind: so much is done at once, the rest in later turns, first come first
 * served. A crowd that comes or goes in one moment then waits for itself, and not everybody else for the crowd.
 */
export class TurnLimiter {
  private readonly waiting: (() => void)[] = [];
  /** In this turn. */
  private done = 0;
  private turning = false;

  /** @param later runs when some has been done that had to wait */
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
