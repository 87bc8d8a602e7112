import { LimitMismatchError, type LockError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { AcquireRequest, Grant, LockKind } from '../backend.js';
import type { Op } from './op.js';
import { RedisGrant } from './redis-grant.js';
import type { RedisSite } from './redis-site.js';
import type { LockKeys } from './scripts/keys.js';
import { memberOf, tokenOf } from './scripts/token.js';

/** One try that does not wait. */
export class TryAcquire implements Op {
  readonly op = 't';
  readonly x: string;
  readonly y: string;
  sentAt: Ms = NaN;
  isDropped = false;

  constructor(
    private readonly site: RedisSite,
    private readonly req: AcquireRequest,
    readonly keys: LockKeys,
    private readonly leaseMs: Ms,
    private readonly resolve: (grant: Grant | null) => void,
    private readonly reject: (error: LockError) => void,
  ) {
    this.x = site.salts.next();
    this.y = String(leaseMs);
  }

  get kind(): LockKind {
    return this.req.kind;
  }

  get limit(): number {
    return this.req.limit;
  }

  answered(reply: unknown): void {
    const { site, req, keys, leaseMs, sentAt } = this;
    if (typeof reply === 'string') {
      const token = tokenOf(reply, this.x);
      const grant = new RedisGrant(req, keys, token, site.server, sentAt, leaseMs, undefined, site.clock.now());
      this.resolve(grant);
    } else if (Array.isArray(reply)) {
      this.reject(new LimitMismatchError({ key: req.key, server: site.server }));
    } else {
      this.resolve(null);
    }
  }

  refused(error: LockError): void {
    this.reject(error);
  }

  unanswered(error: LockError): void {
    const { site, leaseMs, x } = this;
    // It may have been granted, or may be yet.
    site.withdraw(this, memberOf(site.client, x, leaseMs));
    this.reject(error);
  }
}
