import type { Entropy, Ms } from '../../../common/system.js';

/** Delays between attempts to connect: the bound doubles, and the delay is random below it (full jitter). */
export class Backoff {
  private bound: Ms;

  constructor(
    private readonly minMs: Ms,
    private readonly maxMs: Ms,
    private readonly entropy: Entropy,
  ) {
    this.bound = minMs;
  }

  next(): Ms {
    const delay = this.bound * this.entropy.unit();
    this.bound = Math.min(this.bound * 2, this.maxMs);
    return delay;
  }

  /** A session worked. */
  reset(): void {
    this.bound = this.minMs;
  }
}
