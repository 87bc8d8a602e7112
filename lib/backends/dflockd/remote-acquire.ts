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

interface Linking {
  readonly is: 'linking';
  stop: (() => void) | undefined;
}

interface Trying {
  readonly is: 'trying';
  readonly lane: Lane;
  exchange: Exchange | undefined;
  /** In which others are behind it, and it is the head. */
  queue: KeyQueue | undefined;
}

/**
 * linking: no command lane yet. trying: one try on a command lane. lined: in a key queue. left: it has gone, but its try is
 * still on its way, and what that brings is for the queue behind it. over.
 */
type Phase =
  | Linking
  | Trying
  | { readonly is: 'lined'; readonly queue: KeyQueue }
  | { readonly is: 'left'; queue: KeyQueue }
  | { readonly is: 'over' };

const UNLINKED: Phase = Object.freeze({ is: 'linking', stop: undefined });
const OVER: Phase = Object.freeze({ is: 'over' });

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
  private phase: Phase = UNLINKED;
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
    if (this.isOver) return;
    const { phase, queue } = this;
    // First of all over: what follows may call back.
    this.finish();
    if (queue) queue.leave(this);
    else if (phase.is === 'linking') phase.stop?.();
    else if (phase.is === 'trying') {
      if (this.kind === 'sem') this.site.pool.tries.leave(this, phase.lane);
      else this.endLocalUse();
      phase.lane.forget(phase.exchange!);
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

  private get isOver(): boolean {
    return this.phase.is === 'over' || this.phase.is === 'left';
  }

  /** In which it waits. */
  private get queue(): KeyQueue | undefined {
    const { phase } = this;
    return phase.is === 'trying' || phase.is === 'lined' ? phase.queue : undefined;
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
    const linking: Linking = { is: 'linking', stop: undefined };
    this.phase = linking;
    const linked = (outcome: Lane | LockError): void => {
      if (this.phase !== linking) return;
      if (outcome instanceof LockError) return this.fail(outcome);
      // Others may have come to wait, or to try, meanwhile.
      const queue = this.before();
      if (queue) this.waitIn(queue);
      else this.tryOn(outcome);
    };
    const { pool } = this.site;
    // The deadline of a try is the moment at which it was asked for: it may have seen the first attempt fail.
    linking.stop = this.trier
      ? pool.whenCommand(Infinity, linked, this.deadline)
      : pool.whenCommand(this.deadline, linked);
  }

  private tryOn(lane: Lane): void {
    const { kind, limit, leaseMs, key, site } = this;
    const trying: Trying = { is: 'trying', lane, exchange: undefined, queue: undefined };
    this.phase = trying;
    if (kind === 'sem') site.pool.tries.enter(this, lane);
    else if (!this.trier) site.pool.localUses.set(kind, key, limit, this);
    trying.exchange = lane.send({ t: 'acquire', kind, key, limit, waitMs: 0, leaseMs }, (outcome, validFrom) => {
      if (kind === 'sem') site.pool.tries.leave(this, lane);
      const behind = this.answered();
      if (outcome instanceof LockError || outcome.s !== 'granted') return this.refused(outcome, behind);
      const grant = { lane, token: outcome.token, leaseMs: outcome.leaseMs, validFrom };
      if (behind) {
        this.endLocalUse();
        return behind.offer(grant, leaseMs);
      }
      const queue = kind === 'sem' || this.yields ? site.pool.queues.find(this) : undefined;
      if (!queue) return this.granted(grant);
      // An earlier try was refused meanwhile: what this one brought is for those who wait.
      this.waitIn(queue);
      queue.give(grant, leaseMs);
    });
  }

  /** The try is answered, or never will be. Returns the queue behind it. */
  private answered(): KeyQueue | undefined {
    const { phase } = this;
    if (phase.is !== 'trying' && phase.is !== 'left') return undefined;
    const { queue } = phase;
    if (queue) this.phase = phase.is === 'left' ? OVER : { is: 'lined', queue };
    return queue;
  }

  private refused(outcome: LockError | Reply, behind: KeyQueue | undefined): void {
    const { site } = this;
    this.endLocalUse();
    // The queue finds out by itself what is the matter.
    if (behind) behind.tried();
    else if (outcome instanceof LockError) this.fail(outcome);
    else if (outcome.s === 'timeout' || outcome.s === 'max_waiters') this.waitIn(undefined);
    else this.fail(replyError(outcome, 'acquire', this.key, site.pool.server));
  }

  /** Somebody comes behind this try: it becomes the head of a queue, and what it brings goes to the head. */
  private lead(): KeyQueue {
    const { phase } = this;
    const queue = this.site.pool.queues.findOrMake(this.resource(), 'trying');
    if (phase.is === 'trying' || phase.is === 'left') phase.queue = queue;
    // Given up already: only what its try brings is of interest to those behind.
    if (this.isOver) return queue;
    this.site.pool.waits.set(this, this.deadline);
    queue.join(this);
    return queue;
  }

  /** @param queue undefined: a key queue that is to be made */
  private waitIn(queue: KeyQueue | undefined): void {
    if (this.trier) {
      this.finish();
      return this.trier.busy();
    }
    const joined = queue ?? this.site.pool.queues.findOrMake(this.resource());
    this.phase = { is: 'lined', queue: joined };
    this.site.pool.waits.set(this, this.deadline);
    joined.join(this);
  }

  private endLocalUse(): void {
    this.site.pool.localUses.delete(this.kind, this.key, this.limit, this);
  }

  private resource(): Resource {
    return { kind: this.kind, key: this.key, limit: this.limit };
  }

  private onDeadline(): void {
    if (this.isOver) return;
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
    const { phase } = this;
    this.phase = phase.is === 'trying' && phase.queue ? { is: 'left', queue: phase.queue } : OVER;
    this.site.pool.waits.cancel(this);
  }
}
