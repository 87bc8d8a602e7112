import type { LockError } from '../../common/errors.js';
import { GrantRenewal } from './grant-renewal.js';
import type { RedisGrant } from './redis-grant.js';
import type { Renewal } from './renewals.js';

/**
 * Hears of locks that somebody deletes. Only those that have been renewed are watched: a short one costs nothing. Redis forgets
 * a key with each change of it, our own included.
 */
export class KeyWatch {
  private readonly grants = new Map<string, RedisGrant>();

  constructor(
    private readonly track: (keys: readonly string[]) => Promise<number>,
    private readonly suspect: (grant?: RedisGrant) => void,
    private readonly degraded: (error: LockError) => void,
  ) {}

  renewed(renewals: readonly Renewal[]): void {
    const grants: RedisGrant[] = [];
    for (const one of renewals) if (one instanceof GrantRenewal && !one.grant.isReleased) grants.push(one.grant);
    if (grants.length > 0) this.add(grants);
  }

  private add(grants: readonly RedisGrant[]): void {
    const keys = grants.map(({ keys: { key } }) => key);
    grants.forEach((grant, i) => this.grants.set(keys[i]!, grant));
    this.track(keys).then(
      (count) => {
        // One of them is gone already.
        if (count < keys.length) for (const grant of grants) if (this.isWatched(grant)) this.suspect(grant);
      },
      (error: LockError) => {
        if (!error.isTransient) this.degraded(error);
      },
    );
  }

  /** It has been released. */
  delete(grant: RedisGrant): void {
    if (this.isWatched(grant)) this.grants.delete(grant.keys.key);
  }

  /** @param keys undefined: any of them */
  invalidated(keys: readonly string[] | undefined): void {
    if (!keys) return this.suspect();
    for (const key of keys) {
      const grant = this.grants.get(key);
      if (grant) this.suspect(grant);
    }
  }

  private isWatched(grant: RedisGrant): boolean {
    return this.grants.get(grant.keys.key) === grant;
  }
}
