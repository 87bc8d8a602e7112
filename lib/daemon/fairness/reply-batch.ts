import type { Clock, Ms } from '../../common/system.js';

/** A session that may have replies to write. */
export interface DeferredWriter {
  speak(now: Ms): void;
}

/**
 * Writes replies at the end of the turn of the event loop in which their requests arrived. Reading from all connections
 * first and then writing to all costs less than alternating: the code of each half stays in the processor's caches, and
 * clients are not woken one by one. A session that is active alone writes at once.
 */
export class ReplyBatch {
  private writers: DeferredWriter[] = [];
  private latest: DeferredWriter | undefined;
  /** Counts changes of the active session. */
  changes = 0;
  /** Counts how often any session was active. */
  served = 0;

  /** @param heard runs when all requests of a turn have been read, before replies are written */
  constructor(
    private readonly clock: Clock,
    private readonly heard: () => void,
  ) {}

  /** Whether the writer is deferred to the end of this turn. If not, it was active last too, and writes at once. */
  defers(writer: DeferredWriter): boolean {
    this.served++;
    if (writer === this.latest && this.writers.length === 0) return false;
    this.latest = writer;
    this.changes++;
    if (this.writers.push(writer) === 1) this.clock.endOfTurn(this.end);
    return true;
  }

  private readonly end = (): void => {
    const { writers } = this;
    // A session that becomes active meanwhile, over a pair of streams in this process, writes in the next turn.
    this.writers = [];
    this.heard();
    const now = this.clock.now();
    for (const writer of writers) writer.speak(now);
  };
}
