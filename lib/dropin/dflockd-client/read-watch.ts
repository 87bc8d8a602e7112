import { type Clock, type Ms, systemClock } from '../../common/system.js';

/** How late input may be read unnoticed: the time between two checks. */
export const BEAT_MS: Ms = 50;

/**
 * Tracks how long input may have lain unread in a socket. After a stall, the event loop reads replies that arrived long
 * ago, and leases have run since then. While a reply is pending, a timer records when the sockets were last read.
 */
export class ReadWatch {
  private waiting = 0;
  private beating = false;
  /** Everything that arrived before this time has been read. */
  private readUpTo: Ms = -Infinity;

  constructor(private readonly clock: Clock) {}

  /** Call when a request is sent; returns the time. Must be followed by `read`. */
  sent(): Ms {
    this.waiting++;
    if (!this.beating) this.beat();
    return this.clock.now();
  }

  /** Call when the reply was read, or has failed; returns the earliest time at which it can have been given. */
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
      // Timers run before input is read: what has arrived by now is read next.
      clock.afterPoll(() => (this.readUpTo = seen));
      if (this.waiting > 0) this.beat();
    }, BEAT_MS);
  }
}

export const readWatch = new ReadWatch(systemClock);
