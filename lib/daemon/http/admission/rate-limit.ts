import type { Ms } from '../../../common/system.js';

/** Buckets that nobody has used for so long are full again in most cases, and forgotten. */
const FORGOTTEN_MS: Ms = 600_000;
/** Old buckets looked at with each request: more than one, so that they go faster than they come. */
const LOOKED_AT = 2;

interface Bucket {
  tokens: number;
  at: Ms;
}

/** A token bucket for each address: it starts full, and each request takes a token (spec 9.6). */
export class RateLimit {
  /** The least recently used first. */
  private readonly buckets = new Map<string, Bucket>();
  private readonly burst: number;

  /** @param perSecond 0 = no limit @param burst 0 = as many as per second */
  constructor(
    private readonly perSecond: number,
    burst: number,
  ) {
    this.burst = burst || perSecond;
  }

  get size(): number {
    return this.buckets.size;
  }

  /** Takes a token; false if there is none. */
  admits(peer: string, now: Ms): boolean {
    if (this.perSecond === 0) return true;
    const bucket = this.buckets.get(peer) ?? { tokens: this.burst, at: now };
    this.buckets.delete(peer);
    this.buckets.set(peer, bucket);
    this.forget(now);
    bucket.tokens = Math.min(this.burst, bucket.tokens + ((now - bucket.at) / 1000) * this.perSecond);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  private forget(now: Ms): void {
    let left = LOOKED_AT;
    for (const [peer, { at }] of this.buckets) {
      if (now - at < FORGOTTEN_MS || left-- === 0) return;
      this.buckets.delete(peer);
    }
  }
}
