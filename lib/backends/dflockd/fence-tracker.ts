import { fenceOf } from '../../protocol/token.js';

/** Keys whose last fence is remembered; the ones that were granted longest ago are forgotten first. */
const MAX_KEYS = 4096;

/**
 * The fences of a server, and whether they deserve the name. Tokens of old servers are random (spec 10), which shows as
 * soon as one of a key is not higher than the one before; from then on there are none.
 */
export class FenceTracker {
  private readonly last = new Map<string, bigint>();
  private isTrusted = true;

  /** @param degraded told when a fence did not rise; once */
  constructor(private readonly degraded: (detail: string) => void) {}

  /** The fence of a grant. `exclusive`: of a lock, whose grants follow each other. `key`: as bytes. */
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
      `the fence ${fence} followed ${before}: tokens of this server carry no fence; none is shown any more (option remote.fencing)`,
    );
  }
}
