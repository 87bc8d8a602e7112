import type { Entropy, Ms } from '../common/system.js';
import type { TokenSource } from './types.js';

const TOKEN_BYTES = 16;
const POOLED = 512;

/** Fences that may be issued: the `count` numbers above `after`. */
export interface FenceRange {
  readonly after: bigint;
  /** A whole number, at least 1 and below 2^31. */
  readonly count: number;
}

/** Says which fences may be issued. */
export interface FenceSource {
  /**
   * Called when the range before is used up. Undefined: none may be issued now.
   * @param last the highest fence that was issued
   */
  take(last: bigint): FenceRange | undefined;
}

/** Nothing is stored: every higher fence may be issued. */
const UNBOUNDED: FenceSource = { take: (after) => ({ after, count: 2 ** 30 }) };

/**
 * Tokens with a fence (spec 10): 16 hex digits of a number that rises with every grant of this process, then 16 random
 * ones. The fence is seeded with the wall clock in nanoseconds, so it also rises across restarts unless the clock
 * goes back; with a source that stores what may have been issued, even then.
 */
export class FencedTokens implements TokenSource {
  /** Random bytes for many tokens at a time, because a call for each token is slow. */
  private readonly pool = Buffer.alloc(TOKEN_BYTES * POOLED);
  private at = this.pool.length;
  private high: number;
  private low: number;
  /** How many fences may be issued before the source is asked again. */
  private left = 0;

  /** @param last the highest fence that may have been issued before */
  constructor(
    private readonly entropy: Entropy,
    last: bigint,
    private readonly source: FenceSource = UNBOUNDED,
  ) {
    this.high = Number(last >> 32n);
    this.low = Number(last & 0xffff_ffffn);
  }

  next(): string | undefined {
    if (this.left === 0 && !this.takeRange()) return undefined;
    this.left--;
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

  private takeRange(): boolean {
    const range = this.source.take((BigInt(this.high) << 32n) | BigInt(this.low));
    if (!range) return false;
    this.high = Number(range.after >> 32n);
    this.low = Number(range.after & 0xffff_ffffn);
    this.left = range.count;
    return true;
  }
}

/** The seed of a server without a stored fence: nanoseconds since the epoch (spec 10). */
export const fenceSeed = (wall: Ms): bigint => BigInt(Math.floor(wall)) * 1_000_000n;
