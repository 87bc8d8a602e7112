import { fenceOf } from '../../protocol/fence-of-token.js';
import type { RemoteConfig } from './lanes/config.js';

/** Number of keys whose last fence is remembered. The keys granted longest ago are forgotten first. */
const MAX_KEYS = 4096;

/**
 * Acts on the option `remote.fencing`: only with `'token'` does a lock have a fence. Each server has a tracker of its own.
 * @param degraded called once, when a fence did not rise
 */
export function fencesOf(
  { fencing }: Pick<RemoteConfig, 'fencing'>,
  degraded: (detail: string) => void,
): FenceTracker | undefined {
  return fencing === 'token' ? new FenceTracker(degraded) : undefined;
}

/**
 * Checks that the fences in a server's tokens rise; protocol/fence-of-token.ts parses them. Old servers use random tokens
 * (spec 10), which shows when a fence of a key is not higher than the one before; from then on the server's fences are
 * ignored.
 */
export class FenceTracker {
  private readonly last = new Map<string, bigint>();
  private isTrusted = true;

  constructor(private readonly degraded: (detail: string) => void) {}

  /**
   * The fence of a grant. `exclusive`: the grant is of a lock, so fences of the key must rise. `key`: a byte string.
   */
  read(key: string, token: string, exclusive: boolean): bigint | undefined {
    if (!this.isTrusted) return undefined;
    const fence = fenceOf(token);
    if (fence === undefined || !exclusive) return fence;
    const before = this.last.get(key);
    if (before !== undefined && fence <= before) return this.distrust(before, fence);
    this.last.delete(key);
    this.last.set(key, fence);
    if (this.last.size > MAX_KEYS) this.last.delete(this.last.keys().next().value!);
    return fence;
  }

  private distrust(before: bigint, fence: bigint): undefined {
    this.isTrusted = false;
    this.last.clear();
    this.degraded(
      `fence ${fence} followed ${before}: the tokens of this server carry no fence, so fences are no longer shown (option remote.fencing)`,
    );
  }
}
