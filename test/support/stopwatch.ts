import type { Ms } from '../../lib/common/system.js';

/** What runs freely comes by at least this often. */
const EVERY_MS = 2;
/** A longer pause is looked at: time in which the process did not work either is the machine's. */
const PAUSE_MS = 6;

/** Watches for moments in which the machine gave this process no processor. */
export class Standstills {
  private sum: Ms = 0;
  private last = performance.now();
  private worked = workedMs();
  private readonly timer = setInterval(() => this.look(), EVERY_MS).unref();

  /** How long the process could not run, in all, since this was made. */
  get total(): Ms {
    this.look();
    return this.sum;
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const [now, worked] = [performance.now(), workedMs()];
    const pause = now - this.last;
    if (pause > PAUSE_MS) this.sum += Math.max(pause - (worked - this.worked) - EVERY_MS, 0);
    [this.last, this.worked] = [now, worked];
  }
}

/**
 * Measures how long something takes on a machine that gives this process no processor now and then: moments in which it
 * could not run are not counted, whatever it computes itself or waits for is. Call it in the turn in which the thing
 * begins; the function it returns says how many milliseconds it took until now, and is to be called once.
 *
 * For upper bounds only: what another process, or a timer of this one, did during such a moment is not told apart.
 */
export function stopwatch(): () => Ms {
  const began = performance.now();
  const standstills = new Standstills();
  return () => {
    const took = performance.now() - began - standstills.total;
    standstills.stop();
    return took;
  };
}

/** How long processors have worked for this process. */
function workedMs(): Ms {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
