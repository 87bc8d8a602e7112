import type { Entropy, Ms } from '../common/system.js';
import type { TokenSource } from './types.js';

const TOKEN_BYTES = 16;
const POOLED = 512;

/**
 * Tokens with a fence (spec 10): 16 hex digits of a number that rises with every grant of this process, then 16 random
 * ones. The fence is seeded with the wall clock in nanoseconds, so it also rises across restarts unless the clock
 * goes back.
 */
export class FencedTokens implements TokenSource {
  /** Random bytes for many tokens at a time, because a call for each token is slow. */
  private readonly pool = Buffer.alloc(TOKEN_BYTES * POOLED);
  private at = this.pool.length;
  private high: number;
  private low: number;

  /** @param last the highest fence that may have been issued before */
  constructor(
    private readonly entropy: Entropy,
    last: bigint,
  ) {
    this.high = Number(last >> 32n);
    this.low = Number(last & 0xffff_ffffn);
  }

  next(): string {
    if (this.at === this.pool.length) {
      this.entropy.fill(this.pool);
      this.at = 0;
    }
    this.low = (this.low + 1) >>> 0;
    if (this.low === 0) this.high++;
    const { at } = this;
    this.at = at + TOKEN_BYTES;
    this.pool.writeUInt32BE(this.high, at);
    this.pool.writeUInt32BE(this.low, at + 4);
    return this.pool.toString('hex', at, this.at);
  }
}

/** The seed of a server without a stored fence: nanoseconds since the epoch (spec 10). */
export const fenceSeed = (wall: Ms): bigint => BigInt(Math.floor(wall)) * 1_000_000n;
