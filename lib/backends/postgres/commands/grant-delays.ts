import type { Ms } from '../../../common/system.js';

/** A grant that is read so much later than others were is an old one. */
const LATE_MS: Ms = 20;
/** The least delay is forgotten after one to two times as long: the two clocks may drift apart, or be set. */
const REMEMBERED_MS: Ms = 10_000;

/**
 * Tells which grants have been on their way for long, or have lain in the buffers of a process that did not run. A grant says what the
 * server's clock was; between that clock and ours lies an unknown but constant time, so that the least difference seen stands for no
 * delay.
 */
export class GrantDelays {
  private least = Infinity;
  private leastBefore = Infinity;
  private forgetAt: Ms = -Infinity;

  /** @param fence of a grant that has just been read */
  isLate(fence: bigint, now: Ms): boolean {
    const delay = now - Number(fence) / 1e6;
    if (now >= this.forgetAt) {
      this.forgetAt = now + REMEMBERED_MS;
      this.leastBefore = this.least;
      this.least = Infinity;
    }
    this.least = Math.min(this.least, delay);
    return delay - Math.min(this.least, this.leastBefore) > LATE_MS;
  }
}
