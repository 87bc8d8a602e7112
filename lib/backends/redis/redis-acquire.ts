import type { Alarm } from '../../common/alarms.js';
import { AcquireTimeoutError, type LockError, LockUnavailableError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { AcquireRequest, LockKind, Pending, Waiter } from '../backend.js';
import { type AcquireEvent, type AcquireState, TRANSITIONS } from './acquire-states.js';
import type { Joining } from './channels.js';
import { limitMismatch } from './drivers/redis-errors.js';
import type { Op, Retried } from './op.js';
import { RedisGrant } from './redis-grant.js';
import type { RedisSite } from './redis-site.js';
import type { Renewal } from './renewals.js';
import type { LockKeys } from './scripts/companion-keys.js';
import { memberOf, tokenOf } from './scripts/token.js';
import type { Asker, QueuedWaiter, Told } from './waiting.js';

/** One caller that waits for a lock. Each request of it has a salt of its own, by which everybody knows it. */
export class RedisAcquire implements Pending, Op, Alarm, Retried, Renewal, Joining, Asker, QueuedWaiter {
  due: Ms = Infinity;
  slot = -1;
  prev: QueuedWaiter | undefined = undefined;
  next: QueuedWaiter | undefined = undefined;
  sentAt: Ms = NaN;
  isDropped = false;
  op = 'q';
  /** The salt of the request that counts. */
  x = '';
  readonly y: string;
  /** Renewal: what is to be confirmed. */
  token = '';
  queue: QueuedWaiter['queue'] = undefined;
  private state: AcquireState = 'asked';
  /** When a request was sent that has found it in the queue. */
  private seenAt: Ms = -Infinity;
  /** Why it was not answered. */
  private lastError: LockError | undefined = undefined;
  /** It counts among those who need the channel of the queue. */
  private usesChannel = false;
  /** Has no time to wait: gets a single try. */
  private readonly isTry: boolean;
  /** What was told before the answer to the request. */
  private early: Told | undefined = undefined;

  constructor(
    private readonly site: RedisSite,
    readonly req: AcquireRequest,
    readonly keys: LockKeys,
    readonly leaseMs: Ms,
    private readonly waiter: Waiter,
  ) {
    this.y = String(leaseMs);
    this.isTry = req.deadline <= site.clock.now();
  }

  get kind(): LockKind {
    return this.req.kind;
  }

  get limit(): number {
    return this.req.limit;
  }

  get isQueued(): boolean {
    return this.state === 'queued';
  }

  /** As it stands in the queue. */
  get member(): string {
    return memberOf(this.site.client, this.x, this.leaseMs);
  }

  start(): void {
    const { site, req } = this;
    // Without time to wait, it takes as long as one request may.
    site.waits.set(this, this.isTry ? site.clock.now() + site.config.requestTimeoutMs : req.deadline);
    site.open.push(this);
    this.x = site.salts.next();
    const { outage } = site;
    if (outage) this.unanswered(outage);
    else this.send();
  }

  /** Pending */
  cancel(): void {
    this.leave();
  }

  /** QueuedWaiter */
  giveUp(error: LockError): void {
    if (this.leave()) this.waiter.refused(error);
  }

  /** Alarm: the deadline. */
  ring(): void {
    // What has arrived may lie in the socket: after a stall, timers run before input.
    if (this.state === 'asked' || this.state === 'confirming') this.site.clock.afterPoll(() => this.timeOut());
    else this.timeOut();
  }

  /** Retried */
  retry(): void {
    const wasSent = this.isSent;
    const { member } = this;
    if (!this.step('resumed')) return;
    // Whatever came of the last request must not be in the way of the next one.
    if (wasSent) this.site.withdraw(this, member);
    this.ask();
  }

  /** Op */
  answered(reply: unknown): void {
    if (this.isDropped) {
      // A request for which Redis lacked the script is sent once more, and what took it back may have been quicker.
      if (typeof reply === 'string' || Array.isArray(reply)) this.site.withdraw(this, this.member);
    } else if (typeof reply === 'string') {
      const { sentAt, leaseMs } = this;
      // Nothing more will be told of it: it has not been in the queue.
      if (this.state === 'asked') this.grant(tokenOf(reply, this.x), sentAt, leaseMs);
    } else if (!Array.isArray(reply)) {
      this.found();
    } else if (reply[0] === 'L') {
      this.refused(limitMismatch(reply, this.limit, { key: this.req.key, server: this.site.server }));
    } else if (this.step('placed')) {
      const { site } = this;
      this.seenAt = this.sentAt;
      site.open.remove(this);
      site.bySalt.set(this.x, this);
      site.enter(this, reply);
      this.waiter.onPlaced('queued');
      this.tellEarly();
    }
  }

  /** Op */
  refused(error: LockError): void {
    if (!this.step('refused')) return;
    this.finish();
    this.waiter.refused(error);
  }

  /** Op, Renewal */
  unanswered(error: LockError): void {
    if (!this.step('unanswered')) return;
    const { ended, joins, retries } = this.site;
    this.lastError = error;
    joins.passed(this.keys.key, this);
    if (ended || this.isTry) return this.giveUp(ended ?? error);
    retries.add(this);
    this.tellEarly();
  }

  /** It was granted, says an answer to something else, or a message. */
  told(told: Told): void {
    const { token, validFrom, leaseMs = this.leaseMs, confirm } = told;
    const { site } = this;
    const from = validFrom ?? Math.max(this.seenAt, this.sentAt);
    if (!confirm && from + leaseMs - site.clock.now() >= this.leaseMs / 2)
      return this.grant(token, from, leaseMs, true);
    // Its request is still to be answered, and must not be taken for a later one.
    if (this.state === 'asked') this.early = told;
    if (!this.step('unsure')) return;
    site.retries.delete(this);
    this.reopen();
    site.counts.confirmations++;
    this.token = token;
    site.renew(this);
  }

  /** A poke that was sent then has found it in the queue. */
  seen(at: Ms): void {
    if (at > this.seenAt) this.seenAt = at;
  }

  /** It has been dropped from the queue: asks again. */
  displaced(): void {
    const { member } = this;
    if (!this.step('displaced')) return;
    this.reopen();
    this.site.withdraw(this, member);
    this.ask();
  }

  /** Renewal */
  renewed(sentAt: Ms): void {
    this.grant(this.token, sentAt, this.leaseMs, true);
  }

  /** Renewal */
  gone(): void {
    if (this.step('rejected')) this.ask();
  }

  /** Channels: the subscription stands. */
  joined(): void {
    if (this.step('joined')) this.ask();
  }

  /** Something of the last request may be with Redis. */
  private get isSent(): boolean {
    return !Number.isNaN(this.sentAt);
  }

  private step(event: AcquireEvent): boolean {
    const next = TRANSITIONS[this.state][event];
    if (next === undefined) return false;
    this.state = next;
    return true;
  }

  /** Asks, with another salt than before. */
  private ask(): void {
    this.x = this.site.salts.next();
    this.seenAt = -Infinity;
    this.early = undefined;
    this.send();
  }

  private send(): void {
    const { site, keys, isTry } = this;
    const isJoined = site.channels.isJoined(keys.tag);
    if (!isTry && site.joins.holds(keys.key, this, isJoined)) return void this.step('busy');
    // Without the subscription, a place in the queue would be one of which nobody hears.
    this.op = isTry || !isJoined ? 't' : 'q';
    if (this.op === 'q') this.useChannel();
    site.send(this);
    if (this.op === 'q') site.joins.passed(keys.key, this);
  }

  /** A try has found it busy. */
  private found(): void {
    if (this.isTry) return this.refused(new AcquireTimeoutError(this.req.key, { server: this.site.server }));
    if (!this.step('busy')) return;
    this.sentAt = NaN;
    this.useChannel();
    this.site.channels.join(this.keys.tag, this);
  }

  private useChannel(): void {
    if (!this.usesChannel) this.site.channels.use(this.keys.tag);
    this.usesChannel = true;
  }

  /** @param isKnown more may be told of it */
  private grant(token: string, validFrom: Ms, leaseMs: Ms, isKnown = false): void {
    if (!this.step('granted')) return;
    const { site, req, keys, waiter } = this;
    this.finish();
    const wantedMs = leaseMs < this.leaseMs && waiter.autoRenew ? this.leaseMs : undefined;
    const grant = new RedisGrant(req, keys, token, site.server, validFrom, leaseMs, wantedMs, site.clock.now());
    if (isKnown) site.hold(grant, this.x);
    waiter.granted(grant);
  }

  private timeOut(): void {
    const { state, site, lastError, req } = this;
    const details = { key: req.key, server: site.server };
    if (state === 'paused' && lastError) this.giveUp(lastError);
    else if (state === 'queued' || state === 'confirming') this.giveUp(new AcquireTimeoutError(req.key, details));
    else this.giveUp(new LockUnavailableError('no answer in time', details));
  }

  private leave(): boolean {
    const { isSent } = this;
    if (!this.step('left')) return false;
    this.isDropped = true;
    if (isSent) this.site.withdraw(this, this.member);
    this.finish();
    return true;
  }

  private tellEarly(): void {
    const { early } = this;
    this.early = undefined;
    if (early) this.told(early);
  }

  /** It is in no queue from now on. */
  private reopen(): void {
    this.leaveQueue();
    this.site.open.push(this);
  }

  private leaveQueue(): void {
    const { site, queue } = this;
    if (!queue) return site.open.remove(this);
    this.queue = undefined;
    queue.remove(this);
    site.bySalt.delete(this.x);
  }

  /** It waits no longer, whatever the reason. */
  private finish(): void {
    const { site } = this;
    site.waits.cancel(this);
    if (this.lastError) site.retries.delete(this);
    site.joins.passed(this.keys.key, this);
    this.leaveQueue();
    if (this.usesChannel) site.channels.leave(this.keys.tag);
    this.usesChannel = false;
  }
}
