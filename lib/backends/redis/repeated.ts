import { ConfigError, type LockError, LockKeyError, LockUnavailableError } from '../../common/errors.js';
import type { Alarm } from '../../common/alarms.js';
import type { Ms } from '../../common/system.js';
import type { LockKind, Released } from '../backend.js';
import type { Op, Retried } from './op.js';
import type { RedisSite } from './redis-site.js';
import type { LockKeys } from './scripts/companion-keys.js';

/** Frees something. The request is repeated until Redis answers, because it may be lost with its connection. */
abstract class Repeated implements Op, Retried {
  sentAt: Ms = NaN;
  isDropped = false;
  /** A request was lost. Redis may have executed it. */
  protected isRepeated = false;

  constructor(
    protected readonly site: RedisSite,
    readonly kind: LockKind,
    readonly keys: LockKeys,
    readonly limit: number,
    readonly op: 'r' | 'c',
    readonly x: string,
    readonly y: string,
  ) {}

  abstract answered(reply: unknown): void;
  abstract refused(error: LockError): void;

  start(): void {
    const { site } = this;
    if (!site.outage) site.send(this);
    else if (site.ended) this.refused(site.ended);
    else this.wait();
  }

  /** Retried */
  retry(): void {
    this.start();
  }

  /** Op */
  unanswered(): void {
    this.isRepeated = true;
    if (this.site.ended) this.refused(this.site.ended);
    else this.wait();
  }

  protected wait(): void {
    this.site.retries.add(this);
  }

  /** What was freed may have gone to waiters of this process. */
  protected pass(reply: unknown): void {
    if (typeof reply === 'string') this.tell(reply);
    else if (Array.isArray(reply)) for (const token of reply.slice(1)) this.tell(String(token));
  }

  private tell(token: string): void {
    const { site, kind, keys, sentAt } = this;
    site.tell({ token, kind, key: keys.key, validFrom: sentAt, leaseMs: undefined, confirm: false });
  }
}

/** Removes a waiter from the queue and releases its grant, if any. */
export class Withdrawal extends Repeated {
  answered(reply: unknown): void {
    this.pass(reply);
  }

  refused(): void {
    // Nothing of ours is there, or we have no right to change it.
  }
}

/** Releases a lock by its token. */
export class Release extends Repeated implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  private isOver = false;

  /** @param heldUntil when the lease ends anyway; Infinity: not known */
  constructor(
    site: RedisSite,
    kind: LockKind,
    keys: LockKeys,
    limit: number,
    token: string,
    keepMs: Ms,
    private readonly heldUntil: Ms,
    private readonly done: (outcome: Released) => void,
  ) {
    super(site, kind, keys, limit, 'r', token, String(keepMs));
  }

  answered(reply: unknown): void {
    // A release whose answer was lost has freed it.
    this.end(reply === 0 && !this.isRepeated ? 'gone' : 'released');
    this.pass(reply);
  }

  refused(error: LockError): void {
    // Nobody else says that the key stays until its lease ends.
    if (error instanceof ConfigError) this.site.degraded(error.message);
    // What holds something else is not held with this token.
    this.end(error instanceof LockKeyError ? 'gone' : error);
  }

  /** Alarm: the lease has ended. */
  ring(): void {
    const { site } = this;
    this.isDropped = true;
    this.end(site.outage ?? new LockUnavailableError('no answer to the release', { server: site.server }));
  }

  protected override wait(): void {
    if (this.isOver) return;
    super.wait();
    this.site.waits.set(this, this.heldUntil);
  }

  private end(outcome: Released): void {
    if (this.isOver) return;
    this.isOver = true;
    this.site.waits.cancel(this);
    this.site.retries.delete(this);
    this.done(outcome);
  }
}
