import type { Entropy, Ms } from '../../../common/system.js';

/** Delays between attempts that fail in a row: the bound doubles, the delay is anything below it (full jitter). */
export class Backoff {
  private bound: Ms;

  /** @param floor the part of the bound that a delay has at least */
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

  /** The longest delay, less a random part of at most half: for what only somebody else can put right. */
  longest(): Ms {
    return (this.maxMs * (1 + this.entropy.unit())) / 2;
  }

  /** An attempt has succeeded. */
  reset(): void {
    this.bound = this.minMs;
  }
}
