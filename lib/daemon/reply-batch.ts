import type { Clock, Ms } from '../common/system.js';

/** A session that may have something to say. */
export interface DeferredWriter {
  speak(now: Ms): void;
}

/**
 * Replies are written at the end of the turn of the event loop in which their requests came. To read for all connections
 * first and write for all afterwards costs less than to go back and forth for each: the code of either half stays in the
 * processor's caches, and clients are not woken up one by one. A session that is heard alone has nothing to wait for.
 */
export class ReplyBatch {
  private writers: DeferredWriter[] = [];
  private latest: DeferredWriter | undefined;
  /** How often another one was heard than before, or one of many. */
  changes = 0;

  /** @param heard runs when all have been heard, before they speak */
  constructor(
    private readonly clock: Clock,
    private readonly heard: () => void,
  ) {}

  /** Whether the writer is called at the end of this turn. If not, it was heard last too, and speaks at once. */
  defers(writer: DeferredWriter): boolean {
    if (writer === this.latest && this.writers.length === 0) return false;
    this.latest = writer;
    this.changes++;
    if (this.writers.push(writer) === 1) this.clock.endOfTurn(this.end);
    return true;
  }

  private readonly end = (): void => {
    const { writers } = this;
    // Who is heard in the meantime, over a pair of streams in this process, speaks in the next turn.
    this.writers = [];
    this.heard();
    const now = this.clock.now();
    for (const writer of writers) writer.speak(now);
  };
}
