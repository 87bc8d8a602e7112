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

/** Extra time for a caller whose grant arrived before the deadline and is being renewed when it comes. */
const RENEWAL_MS: Ms = 50;

interface Linking {
  readonly is: 'linking';
  stop: (() => void) | undefined;
}

interface Trying {
  readonly is: 'trying';
  readonly lane: Lane;
  exchange: Exchange | undefined;
  /** The queue that this try leads, if other callers have come after it. */
  queue: KeyQueue | undefined;
}

/**
 * linking: no command lane yet. trying: one try on a command lane. lined: in a key queue. left: cancelled while its try
 * is on its way; a grant goes to the queue behind it. over.
 */
type Phase =
  | Linking
  | Trying
  | { readonly is: 'lined'; readonly queue: KeyQueue }
  | { readonly is: 'left'; queue: KeyQueue }
  | { readonly is: 'over' };

const UNLINKED: Phase = Object.freeze({ is: 'linking', stop: undefined });
const OVER: Phase = Object.freeze({ is: 'over' });

/** A caller that does not wait. */
export interface Trier extends Waiter {
  /** The lock is busy. Called instead of `granted` or `refused`. */
  busy(): void;
}

/**
 * One acquire: a try on a command lane and, if the lock is busy and the caller waits, a place in the queue of the key.
 */
export class RemoteAcquire implements Pending, Alarm, LocalWaiter, LocalUse, Resource {
  due: Ms = Infinity;
  slot = -1;
  prev: LocalWaiter | undefined = undefined;
  next: LocalWaiter | undefined = undefined;
  handover: Handover | undefined = undefined;
  arrival = 0;
  /** LocalUse: holds nothing yet. */
  readonly heldUntil = undefined;
  /** As a byte string. */
  readonly key: string;
  private phase: Phase = UNLINKED;
  /** Other callers of this process wait: if the try is granted, they are served first. */
  private yields = false;
  /** The deadline has passed while a grant is being renewed for this caller. */
  private isLate = false;

  /** @param trier set instead of waiting: there is one try only */
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
    // Finish first: the calls below may call back.
    this.finish();
    if (queue) queue.leave(this);
    else if (phase.is === 'linking') phase.stop?.();
    else if (phase.is === 'trying') {
      if (this.kind === 'sem') this.site.pool.tries.leave(this, phase.lane);
      else this.endLocalUse();
      phase.lane.forget(phase.exchange!);
    }
  }

  /** Alarm: the deadline. It is confirmed after the sockets have been read once more (rule 4). */
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

  /** The queue that it waits in. */
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
    // A try whose lane times out before the deadline needs no alarm of its own.
    if (!this.trier && this.deadline < now + config.requestTimeoutMs) waits.set(this, this.deadline);
    const lane = (this.kind === 'sem' && this.site.pool.tries.of(this)) || this.site.pool.command();
    if (lane) return this.tryOn(lane);
    this.link();
  }

  /** The queue of the callers that came before, if any. */
  private before(): KeyQueue | undefined {
    const { queues, localUses } = this.site.pool;
    const queue = queues.find(this);
    // A caller that does not wait is refused only if another caller has the lock.
    if (this.trier) {
      this.yields = queue !== undefined;
      return queue?.isContended ? queue : undefined;
    }
    if (queue || this.kind === 'sem') return queue;
    // Waits behind a try that is under way; a second try could overtake it.
    const use = localUses.ofLock(this.key);
    return use instanceof RemoteAcquire ? use.lead() : undefined;
  }

  private link(): void {
    const linking: Linking = { is: 'linking', stop: undefined };
    this.phase = linking;
    const linked = (outcome: Lane | LockError): void => {
      if (this.phase !== linking) return;
      if (outcome instanceof LockError) return this.fail(outcome);
      // Other callers may have come meanwhile.
      const queue = this.before();
      if (queue) this.waitIn(queue);
      else this.tryOn(outcome);
    };
    const { pool } = this.site;
    // The deadline of a try is the time of its call, so a connection attempt that failed since then counts for it.
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
      // An earlier try was refused meanwhile, so this grant belongs to the callers that wait.
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
    // The queue will find out itself what is wrong.
    if (behind) behind.tried();
    else if (outcome instanceof LockError) this.fail(outcome);
    else if (outcome.s === 'timeout' || outcome.s === 'max_waiters') this.waitIn(undefined);
    else this.fail(replyError(outcome, 'acquire', this.key, site.pool.server));
  }

  /** Another caller comes behind this try: the try becomes the head of a queue, and its grant goes to the head. */
  private lead(): KeyQueue {
    const { phase } = this;
    const queue = this.site.pool.queues.findOrMake(this.resource(), 'trying');
    if (phase.is === 'trying' || phase.is === 'left') phase.queue = queue;
    // The caller has given up; its try may still bring a grant for those behind.
    if (this.isOver) return queue;
    this.site.pool.waits.set(this, this.deadline);
    queue.join(this);
    return queue;
  }

  /** @param queue undefined: create one */
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
    // A waiting caller knows that the lock is busy; before that, nothing is known.
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
