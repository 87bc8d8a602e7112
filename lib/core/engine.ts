import type { Ms } from '../common/system.js';
import type { PlainStatus } from '../protocol/messages.js';
import { Inspecting } from './inspection.js';
import { LeaseExpiry } from './lease-expiry.js';
import type { FreedBy, Refusal } from './observer.js';
import { batchSize } from './batch-size.js';
import { type Hold, type Resource, type Ticket, Waiter } from './resource.js';
import { ResourceTable } from './resource-table.js';
import { Session } from './session.js';
import { Publisher } from './publisher.js';
import { SignalHub } from './signal-hub.js';
import {
  type Answer,
  type Command,
  type EngineOptions,
  NO_FENCE,
  type OpId,
  type SessionSink,
  type TokenSource,
} from './types.js';

type Of<T extends Command['t']> = Extract<Command, { t: T }>;

/** Answers without fields, created once. */
const plain = (s: PlainStatus): Answer => Object.freeze({ s });
const refusal = (s: Refusal) => Object.freeze({ s }) satisfies Answer;
const OK = plain('ok');
const QUEUED = plain('queued');
const TIMEOUT = plain('timeout');
const ERROR = plain('error');
const DRAINING = refusal('draining');
const MAX_WAITERS = refusal('max_waiters');
const MAX_LOCKS = refusal('max_locks');
const LIMIT_MISMATCH = refusal('limit_mismatch');
const ALREADY_ENQUEUED = refusal('already_enqueued');
const CANCELLED: Answer = Object.freeze({ s: 'cancelled' });

/** Lower than for other work, because the host has to write an answer for each. */
const MIN_TIMEOUTS = 128;

/**
 * The lock engine (spec 4): a state machine without I/O. Time, tokens and the sinks of its sessions are passed in. The
 * host calls `exec` for each request, and `advance` with its clock, at `nextWake` at the latest. Requests of one
 * session come one at a time, unless the host keeps track of them by their operation ids (see `cancel`).
 */
export class Engine extends Inspecting {
  protected readonly signals: SignalHub;
  private readonly publisher: Publisher;
  private lastSession = 0;

  /** @param now the origin of the sweep and garbage collection ticks */
  constructor(options: EngineOptions, tokens: TokenSource, now: Ms) {
    super(options, tokens, new ResourceTable(options, now), new LeaseExpiry(options.sweepIntervalMs, now));
    this.signals = new SignalHub(options.maxSubscriptions);
    this.publisher = new Publisher(this.signals, (publishing, op, count) => {
      if (!publishing.closed) publishing.sink.reply(op, { s: 'delivered', count });
    });
  }

  /** @param peer the address of the client, for logs and inspection */
  open(sink: SessionSink, peer: string): Session {
    const session = new Session(++this.lastSession, sink, peer);
    this.sessions.add(session);
    return session;
  }

  exec(session: Session, op: OpId, cmd: Command, now: Ms): void {
    if (this.draining) return this.refuse(session, op, DRAINING);
    switch (cmd.t) {
      case 'acquire':
        return this.acquire(session, op, cmd, now);
      case 'release':
        return this.release(session, op, cmd, now);
      case 'renew':
        return this.renew(session, op, cmd, now);
      case 'enqueue':
        return this.enqueue(session, op, cmd, now);
      case 'wait':
        return this.wait(session, op, cmd, now);
      case 'listen':
        return session.sink.reply(op, this.signals.listen(session, cmd.pattern, cmd.group) ? OK : ERROR);
      case 'unlisten':
        this.signals.unlisten(session, cmd.pattern, cmd.group);
        return session.sink.reply(op, OK);
      case 'signal':
        return this.publisher.publish(session, op, cmd.channel, cmd.payload);
    }
  }

  /**
   * Cancels a waiting operation: it leaves the queue and is answered `cancelled`. Returns false if the operation does
   * not wait, or no longer does; if it was granted, the caller must release the grant.
   */
  cancel(session: Session, op: OpId, now: Ms): boolean {
    const waiter = session.waiting.get(op);
    if (!waiter) return false;
    this.leaveQueue(waiter, now, 'cancel');
    session.sink.reply(op, CANCELLED);
    return true;
  }

  /**
   * Lets time pass. Leases and waits expire by `inputSeen`, the time up to which the host has read and executed what
   * its peers sent; `now` is never before it. Each kind of work has a share of its own, so that none delays another. If
   * work is left over, `nextWake` stays in the past, and the host calls again after it has served other sessions.
   */
  advance(now: Ms, inputSeen: Ms): void {
    this.clearLeft(now);
    this.publisher.proceed();
    this.leases.notice(inputSeen);
    if (this.draining) return;
    for (const res of this.leases.takeSwept(inputSeen)) this.evictLapsed(res, now);
    const timeouts = batchSize(this.waits.size, MIN_TIMEOUTS);
    for (let n = 0; n < timeouts && this.waits.firstDue <= inputSeen; n++) {
      const waiter = this.waits.first!;
      const op = waiter.op!;
      this.leaveQueue(waiter, now, 'timeout');
      waiter.session.sink.reply(op, TIMEOUT);
    }
    this.table.collect(inputSeen);
  }

  /** When `advance` next has something to do; -Infinity if work was left over, Infinity if there is none. */
  nextWake(): Ms {
    if (this.leaving.size > 0) return -Infinity;
    if (this.publisher.isBusy) return -Infinity;
    if (this.draining) return Infinity;
    return Math.min(this.waits.firstDue, this.leases.nextWake, this.table.nextCollection);
  }

  /** Shutdown (spec 7): open waits are answered `error`, later requests `draining`, and nothing is granted any more. */
  drain(now: Ms): void {
    this.draining = true;
    for (const session of this.sessions) {
      for (const [op, waiter] of [...session.waiting]) {
        this.leaveQueue(waiter, now, 'cancel');
        session.sink.reply(op, ERROR);
      }
    }
  }

  /** Ends a hold for its session, also while the engine drains. */
  giveBack(hold: Hold, now: Ms, by: FreedBy): void {
    this.free(hold, now, by);
  }

  private acquire(session: Session, op: OpId, cmd: Of<'acquire'>, now: Ms): void {
    const res = this.enter(session, op, cmd, now);
    if (!res) return;
    const leaseMs = cmd.leaseMs || this.options.defaultLeaseMs;
    if (this.isFree(res)) {
      const hold = this.grant(res, session, leaseMs, now, undefined);
      if (hold) session.sink.reply(op, { s: 'granted', token: hold.token, leaseMs });
      else this.refuseGrant(res, session, op, now);
    } else if (this.isQueueFull(res)) {
      this.refuse(session, op, MAX_WAITERS);
    } else if (cmd.waitMs <= 0) {
      session.sink.reply(op, TIMEOUT);
    } else {
      const waiter = new Waiter(res, session, leaseMs, undefined);
      this.queueUp(waiter, now);
      this.await(waiter, op, now + cmd.waitMs);
    }
  }

  private release(session: Session, op: OpId, cmd: Of<'release'>, now: Ms): void {
    const hold = this.table.get(cmd.kind, cmd.key)?.holders.get(cmd.token);
    if (!hold) return session.sink.reply(op, ERROR);
    this.free(hold, now, 'release');
    session.sink.reply(op, OK);
  }

  /** The new lease is the given one or the server's default, not the lease of the acquire (spec 4.4). */
  private renew(session: Session, op: OpId, cmd: Of<'renew'>, now: Ms): void {
    const hold = this.table.get(cmd.kind, cmd.key)?.holders.get(cmd.token);
    if (!hold || hold.lapsed) {
      if (hold) this.free(hold, now, 'expiry');
      return session.sink.reply(op, ERROR);
    }
    const leaseMs = cmd.leaseMs || this.options.defaultLeaseMs;
    this.extend(hold, now + leaseMs);
    session.sink.reply(op, { s: 'renewed', leaseMs });
  }

  private enqueue(session: Session, op: OpId, cmd: Of<'enqueue'>, now: Ms): void {
    const known = this.table.get(cmd.kind, cmd.key);
    if (known && session.tickets.has(known)) return this.refuse(session, op, ALREADY_ENQUEUED);
    const res = this.enter(session, op, cmd, now);
    if (!res) return;
    const leaseMs = cmd.leaseMs || this.options.defaultLeaseMs;
    const ticket: Ticket = { leaseMs, waiter: undefined, hold: undefined };
    if (this.isFree(res)) {
      const hold = this.grant(res, session, leaseMs, now, undefined);
      if (!hold) return this.refuseGrant(res, session, op, now);
      session.tickets.set(res, ticket);
      ticket.hold = hold;
      hold.ticket = ticket;
      session.sink.reply(op, { s: 'acquired', token: hold.token, leaseMs });
    } else if (this.isQueueFull(res)) {
      this.refuse(session, op, MAX_WAITERS);
    } else {
      session.tickets.set(res, ticket);
      ticket.waiter = new Waiter(res, session, leaseMs, ticket);
      this.queueUp(ticket.waiter, now);
      session.sink.reply(op, QUEUED);
    }
  }

  private wait(session: Session, op: OpId, cmd: Of<'wait'>, now: Ms): void {
    const res = this.table.get(cmd.kind, cmd.key);
    const ticket = res && session.tickets.get(res);
    if (!ticket) return session.sink.reply(op, plain('not_enqueued'));
    const { hold, waiter } = ticket;
    if (hold) {
      if (hold.lapsed) {
        this.free(hold, now, 'expiry');
        return session.sink.reply(op, plain('lease_expired'));
      }
      this.consume(session, hold);
      this.extend(hold, now + ticket.leaseMs);
      return session.sink.reply(op, { s: 'granted', token: hold.token, leaseMs: ticket.leaseMs });
    }
    if (waiter!.op !== undefined) return session.sink.reply(op, ERROR);
    if (cmd.waitMs <= 0) {
      this.leaveQueue(waiter!, now, 'timeout');
      return session.sink.reply(op, TIMEOUT);
    }
    this.await(waiter!, op, now + cmd.waitMs);
  }

  /** The first two steps of an acquire or enqueue (spec 4.2); undefined if it was refused. */
  private enter(session: Session, op: OpId, cmd: Of<'acquire' | 'enqueue'>, now: Ms): Resource | undefined {
    const res = this.table.open(cmd.kind, cmd.key, cmd.limit);
    if (typeof res === 'string') {
      this.refuse(session, op, res === 'max_locks' ? MAX_LOCKS : LIMIT_MISMATCH);
      return undefined;
    }
    if (res.holders.hasLapsed) this.evictLapsed(res, now);
    return res;
  }

  private refuseGrant(res: Resource, session: Session, op: OpId, now: Ms): void {
    // The request may have created it.
    this.table.settle(res, now);
    session.sink.reply(op, NO_FENCE);
  }

  private refuse(session: Session, op: OpId, answer: Answer & { readonly s: Refusal }): void {
    if (this.observer) this.observer.refused(answer.s);
    session.sink.reply(op, answer);
  }
}
