import type { Clock, Ms } from '../common/system.js';

/** A session that may have something to say. */
export interface Talker {
  speak(now: Ms): void;
}

/**
 * Replies are written at the end of the turn of the event loop in which their requests came. To read for all connections
 * first and write for all afterwards costs less than to go back and forth for each: the code of either half stays in the
 * processor's caches, and clients are not woken up one by one. A session that is heard alone has nothing to wait for.
 */
export class Turn {
  private talkers: Talker[] = [];
  private latest: Talker | undefined;
  /** How often another one was heard than before, or one of many. */
  changes = 0;

  /** @param heard runs when all have been heard, before they speak */
  constructor(
    private readonly clock: Clock,
    private readonly heard: () => void,
  ) {}

  /** Whether the talker is called at the end of this turn. If not, it was heard last too, and speaks at once. */
  defers(talker: Talker): boolean {
    if (talker === this.latest && this.talkers.length === 0) return false;
    this.latest = talker;
    this.changes++;
    if (this.talkers.push(talker) === 1) this.clock.endOfTurn(this.end);
    return true;
  }

  private readonly end = (): void => {
    const { talkers } = this;
    // Who is heard in the meantime, over a pair of streams in this process, speaks in the next turn.
    this.talkers = [];
    this.heard();
    const now = this.clock.now();
    for (const talker of talkers) talker.speak(now);
  };
}
