import type { Clock, Ms, Timer } from '../common/system.js';
import type { LockLostEvent } from '../locks/events/events.js';

/** How long, in milliseconds, further losses are collected after a bundle. */
const PAUSE_MS: Ms = 1000;

/**
 * Bundles lost locks for event.logger.ts, which logs them. A connection that ends may lose thousands in one turn, and a
 * line for each would flood the log, so the losses of a turn are one bundle, and later ones are one per second.
 */
export class BundledLosses {
  private untold: LockLostEvent[] = [];
  private pausedUntil: Ms = -Infinity;
  private timer: Timer | undefined;

  constructor(
    private readonly take: (losses: readonly LockLostEvent[]) => void,
    private readonly clock: Clock,
  ) {}

  add(event: LockLostEvent): void {
    if (this.untold.push(event) > 1) return;
    const pause = this.pausedUntil - this.clock.now();
    if (pause <= 0) this.clock.endOfTurn(() => this.flush());
    // Losses must be logged even by a process that has nothing else to do.
    else this.timer = this.clock.setTimer(() => this.flush(), pause, true);
  }

  /** Hands over the collected losses now. */
  flush(): void {
    const { untold, clock } = this;
    if (this.timer) clock.clearTimer(this.timer);
    this.timer = undefined;
    if (untold.length === 0) return;
    this.untold = [];
    this.pausedUntil = clock.now() + PAUSE_MS;
    this.take(untold);
  }
}
