import { type LockError, LockLostError } from '../../common/errors.js';
import type { Clock, Ms } from '../../common/system.js';
import type { LockKind, RenewalRequest } from '../backend.js';
import type { RedisGrant } from './redis-grant.js';
import type { Renewal } from './renewals.js';
import type { LockKeys } from './scripts/companion-keys.js';

/** The renewal of a lock that somebody holds. */
export class GrantRenewal implements Renewal {
  constructor(
    private readonly request: RenewalRequest,
    readonly leaseMs: Ms,
    private readonly clock: Clock,
  ) {}

  get grant(): RedisGrant {
    return this.request.grant as RedisGrant;
  }

  get kind(): LockKind {
    return this.grant.kind;
  }

  get fullKey(): string {
    return this.grant.fullKey;
  }

  get keys(): LockKeys {
    return this.grant.keys;
  }

  get limit(): number {
    return this.grant.req.limit;
  }

  get token(): string {
    return this.grant.token;
  }

  renewed(sentAt: Ms): void {
    this.extend();
    this.request.renewed({ validFrom: sentAt, leaseMs: this.leaseMs });
  }

  gone(): void {
    const { req, server } = this.grant;
    this.request.failed(new LockLostError(req.key, 'rejected', { server }));
  }

  unanswered(error: LockError): void {
    // It may have been carried out.
    this.extend();
    this.request.failed(error);
  }

  refused(error: LockError): void {
    this.request.failed(error);
  }

  private extend(): void {
    this.grant.extend(this.clock.now(), this.leaseMs);
  }
}
