import { type Clock, type Ms, systemClock } from '../../common/system.js';

/** What arrives during a turn of the event loop may be read so much later without anybody noticing. */
export const BEAT_MS: Ms = 50;

/**
 * Knows how long what is read may have lain in a socket. An event loop that stood still reads answers which came long ago:
 * a lease has run since then. While somebody waits for an answer, a timer notes when the sockets were last read.
 */
export class ReadWatch {
  private waiting = 0;
  private beating = false;
  /** What arrived before has been read. */
  private readUpTo: Ms = -Infinity;

  constructor(private readonly clock: Clock) {}

  /** A request is sent; returns the time. To be followed by `read`. */
  sent(): Ms {
    this.waiting++;
    if (!this.beating) this.beat();
    return this.clock.now();
  }

  /** Its answer has just been read, or there is none: returns the time before which it cannot have been given. */
  read(sentAt: Ms): Ms {
    this.waiting--;
    return Math.max(sentAt, this.readUpTo);
  }

  private beat(): void {
    const { clock } = this;
    this.beating = true;
    clock.setTimer(() => {
      this.beating = false;
      const seen = clock.now();
      // Timers run before input: what has come by now is read next.
      clock.afterPoll(() => (this.readUpTo = seen));
      if (this.waiting > 0) this.beat();
    }, BEAT_MS);
  }
}

export const readWatch = new ReadWatch(systemClock);
