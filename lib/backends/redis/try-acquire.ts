import type { Alarm } from '../../common/alarms.js';
import { type LockError, LockUnavailableError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { AcquireRequest, Grant, LockKind } from '../backend.js';
import { limitMismatch } from './drivers/redis-errors.js';
import type { Op } from './op.js';
import { RedisGrant } from './redis-grant.js';
import type { RedisSite } from './redis-site.js';
import type { LockKeys } from './scripts/companion-keys.js';
import { memberOf, tokenOf } from './scripts/token.js';

/**
 * One try that does not wait for the lock. It may take several requests, one after the other; all of them together take no
 * longer than the request timeout.
 */
export class TryAcquire implements Op, Alarm {
  due: Ms = Infinity;
  slot = -1;
  readonly op = 't';
  readonly x: string;
  readonly y: string;
  sentAt: Ms = NaN;
  isDropped = false;
  private isOver = false;

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

  start(): void {
    const { site } = this;
    site.alarms.set(this, site.clock.now() + site.config.requestTimeoutMs);
    site.send(this);
  }

  /** Alarm. What has arrived may lie in the socket: after a stall, timers run before input. */
  ring(): void {
    this.site.clock.afterPoll(() => {
      if (this.isOver) return;
      this.isDropped = true;
      this.unanswered(new LockUnavailableError('no answer in time', { key: this.req.key, server: this.site.server }));
    });
  }

  /** Op */
  answered(reply: unknown): void {
    const { site, req, keys, leaseMs, sentAt } = this;
    if (this.isOver) {
      // What took it back may have been quicker.
      if (typeof reply === 'string') this.withdraw();
      return;
    }
    this.finish();
    if (typeof reply === 'string') {
      const token = tokenOf(reply, this.x);
      const grant = new RedisGrant(req, keys, token, site.server, sentAt, leaseMs, undefined, site.clock.now());
      this.resolve(grant);
    } else if (Array.isArray(reply)) {
      this.reject(limitMismatch(reply, req.limit, { key: req.key, server: site.server }));
    } else {
      this.resolve(null);
    }
  }

  /** Op */
  refused(error: LockError): void {
    this.finish();
    this.reject(error);
  }

  /** Op */
  unanswered(error: LockError): void {
    if (this.isOver) return;
    this.finish();
    this.withdraw();
    this.reject(error);
  }

  private finish(): void {
    this.isOver = true;
    this.site.alarms.cancel(this);
  }

  /** It may have been granted, or may be yet. */
  private withdraw(): void {
    const { site, x, leaseMs, sentAt } = this;
    if (!Number.isNaN(sentAt)) site.withdraw(this, memberOf(site.client, x, leaseMs));
  }
}
