import type { Clock, Ms, Timer } from '../common/system.js';
import type { LockLostEvent } from '../locks/events/events.js';
import { MESSAGES } from './shared/dflockd.messages.js';
import type { Log } from './module.logger.js';

/** How long, in milliseconds, further losses are collected after a line. */
const PAUSE_MS: Ms = 1000;

/**
 * Logs lost locks. A connection that ends may lose thousands in one turn, and a line for each would flood the log, so
 * the losses of a turn share one line, and later ones share one per second.
 */
export class LossLogger {
  private untold: LockLostEvent[] = [];
  private pausedUntil: Ms = -Infinity;
  private timer: Timer | undefined;

  constructor(
    private readonly log: Log,
    private readonly clock: Clock,
  ) {}

  add(event: LockLostEvent): void {
    if (this.untold.push(event) > 1) return;
    const pause = this.pausedUntil - this.clock.now();
    if (pause <= 0) this.clock.endOfTurn(() => this.flush());
    // Losses must be logged even by a process that has nothing else to do.
    else this.timer = this.clock.setTimer(() => this.flush(), pause, true);
  }

  /** Logs the collected losses now. */
  flush(): void {
    const { untold, clock } = this;
    if (this.timer) clock.clearTimer(this.timer);
    this.timer = undefined;
    if (untold.length === 0) return;
    this.untold = [];
    this.pausedUntil = clock.now() + PAUSE_MS;
    this.log('error', untold.length === 1 ? one(untold[0]!) : many(untold));
  }
}

const one = ({ keys, reason, heldMs, server }: LockLostEvent): string => MESSAGES.lost(keys, reason, heldMs, server);

function many(events: readonly LockLostEvent[]): string {
  const reasons = new Map<string, number>();
  for (const { reason } of events) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const keys = events.flatMap((event) => event.keys);
  return MESSAGES.manyLost(events.length, keys, reasons, [...new Set(events.map(({ server }) => server))]);
}
