import type { Entropy, Ms } from './system.js';

/** Delays between consecutive failed attempts: the bound doubles, and the delay is random below it (full jitter). */
export class Backoff {
  private bound: Ms;

  /** @param floor the minimum delay, as a fraction of the bound */
  constructor(
    private readonly minMs: Ms,
    readonly maxMs: Ms,
    private readonly entropy: Entropy,
    private readonly floor = 0,
  ) {
    this.bound = minMs;
  }

  next(): Ms {
    const delay = this.bound * (this.floor + (1 - this.floor) * this.entropy.unit());
    this.bound = Math.min(this.bound * 2, this.maxMs);
    return delay;
  }

  /** The maximum delay, minus a random part of up to half: for failures that only an operator can fix. */
  longest(): Ms {
    return (this.maxMs * (1 + this.entropy.unit())) / 2;
  }

  /** An attempt has succeeded. */
  reset(): void {
    this.bound = this.minMs;
  }
}
