import type { Alarm } from '../../common/alarms.js';
import type { LockError } from '../../common/errors.js';
import { LinkedList } from '../../common/linked-list.js';
import type { Ms } from '../../common/system.js';
import type { LockKind } from '../backend.js';
import type { Op } from './op.js';
import type { RedisSite } from './redis-site.js';
import type { LockKeys } from './scripts/companion-keys.js';
import { isToken, saltOf } from './scripts/token.js';
import type { QueuedWaiter } from './waiting.js';

/** Pokes due within this time of each other leave together. */
const TOGETHER_MS: Ms = 50;
/** How long after the end of the holder's lease a waiter pokes. */
const LATER_MS: Ms = 1;

/**
 * The waiters of this process in the queue of one key, in order. Pokes tell Redis that the process is alive, and find what was
 * missed: a message that was lost, a holder whose lease is over, a key that somebody deleted.
 */
export class LocalQueue implements Alarm, Op {
  due: Ms = Infinity;
  slot = -1;
  sentAt: Ms = NaN;
  isDropped = false;
  readonly op = 'p';
  /** The waiter the poke asks about. */
  x = '';
  readonly y = '';
  readonly waiters = new LinkedList<QueuedWaiter>();
  private about: QueuedWaiter | undefined;
  /** Another poke was requested while one was on its way. */
  private again = false;

  /** @param emptied called when the last waiter has left */
  constructor(
    private readonly site: RedisSite,
    readonly kind: LockKind,
    readonly keys: LockKeys,
    readonly limit: number,
    private readonly emptied: (queue: LocalQueue) => void,
  ) {}

  /** @param reply what its request was answered: rank, time left, holder */
  enter(waiter: QueuedWaiter, reply: readonly unknown[]): void {
    waiter.queue = this;
    this.waiters.push(waiter);
    // The others are served behind it.
    if (this.waiters.head === waiter) this.plan(reply);
  }

  /** By the waiter. */
  remove(waiter: QueuedWaiter): void {
    const { waiters, site } = this;
    const wasFirst = waiters.head === waiter;
    waiters.remove(waiter);
    if (waiters.size === 0) {
      site.waits.cancel(this);
      this.isDropped = true;
      this.emptied(this);
    } else if (wasFirst && this.slot < 0 && !this.about) {
      this.planRegular();
    }
  }

  /** Asks Redis how things are. */
  poke(): void {
    const { site, waiters } = this;
    const { head } = waiters;
    // As soon as there is a connection, all of them poke.
    if (!head || site.outage) return;
    site.waits.cancel(this);
    if (this.about) {
      this.again = true;
      return;
    }
    this.about = head;
    this.x = head.member;
    site.counts.pokes++;
    site.send(this);
  }

  /** Alarm */
  ring(): void {
    this.poke();
  }

  /** Op */
  answered(reply: unknown): void {
    const { site, kind, sentAt } = this;
    const { key } = this.keys;
    const [rank, leftMs, holder, ...others] = reply as [number, Ms, string, ...string[]];
    const waiter = this.takeAsked();
    if (rank >= 0) waiter?.seen(sentAt);
    // Somebody else's token must not be told.
    if (isToken(holder) && site.asker(saltOf(holder))) {
      site.tell({ token: holder, kind, key, validFrom: sentAt, leaseMs: leftMs, confirm: false });
    }
    for (const token of others) {
      site.tell({ token, kind, key, validFrom: sentAt, leaseMs: undefined, confirm: false });
    }
    if (rank < 0 && waiter?.isQueued) this.displace();
    else this.plan([rank, leftMs, holder]);
    this.lookAgain();
  }

  /** Op: the key in Redis is no queue any more. */
  refused(error: LockError): void {
    this.takeAsked();
    for (const waiter of this.waiters) waiter.refused(error);
  }

  /** Op */
  unanswered(): void {
    this.takeAsked();
    this.planRegular();
    this.lookAgain();
  }

  /** The waiter that the answer is about, if it is still there for the same request. */
  private takeAsked(): QueuedWaiter | undefined {
    const { about, x } = this;
    this.about = undefined;
    return about?.isQueued && about.member === x ? about : undefined;
  }

  private lookAgain(): void {
    if (!this.again) return;
    this.again = false;
    this.poke();
  }

  /** The first waiter has lost its place. The others must not be served before it. */
  private displace(): void {
    const { site, waiters } = this;
    site.counts.lostPlaces += waiters.size;
    site.degraded('waiters were no longer in the queue of their key, and have entered it again');
    // A waiter that asks again leaves this queue first.
    for (const waiter of [...waiters]) waiter.displaced();
  }

  private plan([rank, leftMs, holder]: readonly unknown[]): void {
    this.planRegular();
    if (rank !== 0 || this.slot < 0) return;
    const { site } = this;
    const now = site.clock.now();
    let due = this.due;
    const left = leftMs as Ms;
    if (left >= 0) due = Math.min(due, now + left + LATER_MS);
    const isForeign = this.kind === 'lock' && holder !== '' && !isToken(String(holder));
    if (isForeign) due = Math.min(due, now + site.config.foreignPollMs * (0.75 + 0.75 * site.unit()));
    if (due < this.due) site.waits.set(this, due);
  }

  private planRegular(): void {
    const { site, waiters } = this;
    if (waiters.size === 0) return;
    const due = site.clock.now() + site.config.pokeMs * (0.9 + 0.2 * site.unit());
    site.waits.set(this, Math.ceil(due / TOGETHER_MS) * TOGETHER_MS);
  }
}
