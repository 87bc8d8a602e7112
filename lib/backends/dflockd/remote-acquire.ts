import type { LocalWaiter, LaneGrant, Resource } from './queues/local-waiter.js';
import type { Exchange } from './lanes/exchange.js';
import type { Handover } from './queues/handover.js';
import type { LocalUse } from './queues/local-uses.js';
import type { Lane } from './lanes/lane.js';
import type { KeyQueue } from './queues/key-queue.js';
import { gone } from './lanes/lane-errors.js';
import type { Alarm } from '../../common/alarms.js';
import { LockError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import { toBytes } from '../../protocol/bytes.js';
import type { Kind, Reply } from '../../protocol/messages.js';
import { replyError } from '../../protocol/reply-error.js';
import type { AcquireRequest, Pending, Waiter } from '../backend.js';
import type { RemoteSite } from './remote-site.js';
import { wireKind } from './wire-kind.js';

/** A grant that is being renewed when the deadline comes was there in time: its caller waits for so much longer. */
const RENEWAL_MS: Ms = 50;

/**
 * linking: no command lane yet. trying: one try on a command lane; with others behind it in a key queue, in which it is the
 * head, if there is one. lined: in a key queue. over.
 */
type Phase = 'linking' | 'trying' | 'lined' | 'over';

/** Who does not wait. */
export interface Trier extends Waiter {
  /** Somebody else has it. Called instead of `granted` or `refused`. */
  busy(): void;
}

/** One acquire: a try on a command lane; if the lock is busy and waiting is wanted, a place in the key queue of its key. */
export class RemoteAcquire implements Pending, Alarm, LocalWaiter, LocalUse, Resource {
  due: Ms = Infinity;
  slot = -1;
  prev: LocalWaiter | undefined = undefined;
  next: LocalWaiter | undefined = undefined;
  handover: Handover | undefined = undefined;
  arrival = 0;
  /** LocalUse: it holds nothing. */
  readonly heldUntil = undefined;
  /** As bytes. */
  readonly key: string;
  private phase: Phase = 'linking';
  private queue: KeyQueue | undefined = undefined;
  private stopLinking: (() => void) | undefined = undefined;
  private lane: Lane | undefined = undefined;
  private exchange: Exchange | undefined = undefined;
  /** Others of this process wait: a try that is granted is for them. */
  private yields = false;
  /** Past its deadline: a grant is being renewed for it. */
  private isLate = false;

  /** @param trier instead of a waiter: there is one try, and no waiting */
  constructor(
    private readonly req: AcquireRequest,
    private readonly site: RemoteSite,
    private readonly waiter: Waiter,
    private readonly trier: Trier | undefined = undefined,
  ) {
    this.key = toBytes(req.key);
    this.begin();
  }

  get kind(): Kind {
    return wireKind(this.req.kind);
  }

  get limit(): number {
    return this.req.limit;
  }

  get deadline(): Ms {
    return this.req.deadline;
  }

  get leaseMs(): Ms {
    return this.req.leaseMs;
  }

  get autoRenew(): boolean {
    return this.waiter.autoRenew === true;
  }

  cancel(): void {
    const { phase } = this;
    if (phase === 'over') return;
    // First of all over: what follows may call back.
    this.finish();
    if (phase === 'linking') this.stopLinking?.();
    else if (this.queue) this.queue.leave(this);
    else if (phase === 'trying') {
      if (this.kind === 'sem') this.site.pool.tries.leave(this, this.lane!);
      else this.site.pool.localUses.delete(this.kind, this.key, this.limit, this);
      this.lane!.forget(this.exchange!);
    }
  }

  /** Alarm: the deadline, which is confirmed after the sockets have been read once more (rule 4). */
  ring(): void {
    this.site.pool.clock.afterPoll(() => this.onDeadline());
  }

  /** LocalWaiter */
  queued(): void {
    this.waiter.onPlaced('queued');
  }

  /** LocalWaiter */
  granted(grant: LaneGrant): void {
    this.finish();
    this.waiter.granted(this.site.hold(this.req, this.key, grant));
  }

  /** LocalWaiter */
  failed(error: LockError): void {
    this.fail(error);
  }

  private begin(): void {
    const { localUses, clock, config, waits } = this.site.pool;
    const queue = this.before();
    if (queue) return this.waitIn(queue);
    const now = clock.now();
    if (localUses.isFull(this, now)) return this.waitIn(undefined);
    // A try whose lane gives up before the deadline needs no alarm of its own.
    if (!this.trier && this.deadline < now + config.requestTimeoutMs) waits.set(this, this.deadline);
    const lane = (this.kind === 'sem' && this.site.pool.tries.of(this)) || this.site.pool.command();
    if (lane) return this.tryOn(lane);
    this.link();
  }

  /** The key queue of those who were here before. */
  private before(): KeyQueue | undefined {
    const { queues, localUses } = this.site.pool;
    const queue = queues.find(this);
    // Who does not wait is told to be busy only of a lock that somebody has.
    if (this.trier) {
      this.yields = queue !== undefined;
      return queue?.isContended ? queue : undefined;
    }
    if (queue || this.kind === 'sem') return queue;
    // Behind somebody who is trying: whoever tried past it could overtake it.
    const use = localUses.ofLock(this.key);
    return use instanceof RemoteAcquire ? use.lead() : undefined;
  }

  private link(): void {
    const linked = (outcome: Lane | LockError): void => {
      if (this.phase !== 'linking') return;
      if (outcome instanceof LockError) return this.fail(outcome);
      // Others may have come to wait, or to try, meanwhile.
      const queue = this.before();
      if (queue) this.waitIn(queue);
      else this.tryOn(outcome);
    };
    const { pool } = this.site;
    // The deadline of a try is the moment at which it was asked for: it may have seen the first attempt fail.
    this.stopLinking = this.trier
      ? pool.whenCommand(Infinity, linked, this.deadline)
      : pool.whenCommand(this.deadline, linked);
  }

  private tryOn(lane: Lane): void {
    const { kind, limit, leaseMs, key, site } = this;
    this.phase = 'trying';
    this.lane = lane;
    if (kind === 'sem') site.pool.tries.enter(this, lane);
    else if (!this.trier) site.pool.localUses.set(kind, key, limit, this);
    this.exchange = lane.send({ t: 'acquire', kind, key, limit, waitMs: 0, leaseMs }, (outcome, validFrom) => {
      if (kind === 'sem') site.pool.tries.leave(this, lane);
      if (outcome instanceof LockError || outcome.s !== 'granted') return this.refused(outcome);
      const grant = { lane, token: outcome.token, leaseMs: outcome.leaseMs, validFrom };
      if (this.queue) return this.queue.offer(grant, leaseMs);
      const queue = kind === 'sem' || this.yields ? site.pool.queues.find(this) : undefined;
      if (!queue) return this.granted(grant);
      // An earlier try was refused meanwhile: what this one brought is for those who wait.
      this.waitIn(queue);
      queue.give(grant, leaseMs);
    });
  }

  private refused(outcome: LockError | Reply): void {
    const { queue, site } = this;
    site.pool.localUses.delete(this.kind, this.key, this.limit, this);
    // The key queue finds out by itself what is the matter.
    if (queue) {
      if (this.phase === 'trying') this.phase = 'lined';
      queue.tried();
    } else if (outcome instanceof LockError) this.fail(outcome);
    else if (outcome.s === 'timeout' || outcome.s === 'max_waiters') this.waitIn(undefined);
    else this.fail(replyError(outcome, 'acquire', this.key, site.pool.server));
  }

  /** Somebody comes behind this try: it becomes the head of a key queue, and what it brings goes to the head. */
  private lead(): KeyQueue {
    this.queue = this.site.pool.queues.findOrMake(this.resource(), 'trying');
    // Given up already: only what its try brings is of interest to those behind.
    if (this.phase === 'over') return this.queue;
    this.site.pool.waits.set(this, this.deadline);
    this.queue.join(this);
    return this.queue;
  }

  /** @param queue undefined: a key queue that is to be made */
  private waitIn(queue: KeyQueue | undefined): void {
    if (this.trier) {
      this.finish();
      return this.trier.busy();
    }
    this.phase = 'lined';
    this.queue = queue ?? this.site.pool.queues.findOrMake(this.resource());
    this.site.pool.waits.set(this, this.deadline);
    this.queue.join(this);
  }

  private resource(): Resource {
    return { kind: this.kind, key: this.key, limit: this.limit };
  }

  private onDeadline(): void {
    if (this.phase === 'over') return;
    if (this.handover && !this.isLate) {
      const { waits, clock } = this.site.pool;
      this.isLate = true;
      return waits.set(this, clock.now() + RENEWAL_MS);
    }
    const { key } = this.req;
    // Who waits knows that the lock is busy; before that nothing is known.
    const error = this.queue ? this.queue.deadlineError(key) : gone(this.site.pool.server, 'no answer in time');
    this.cancel();
    this.waiter.refused(error);
  }

  private fail(reason: LockError): void {
    this.finish();
    this.waiter.refused(reason);
  }

  private finish(): void {
    this.phase = 'over';
    this.site.pool.waits.cancel(this);
  }
}
