import type { Ms } from '../../lib/common/system.js';
import type { EngineOptions } from '../../lib/core/types.js';
import type { Kind } from '../../lib/protocol/messages.js';

/**
 * The lock engine once more, as the specification tells it (docs/protocol.md, sections 4, 5 and 7): lists, scans and a
 * clock that ticks in milliseconds. It shares nothing with the engine, is slow, and is meant to be obviously right.
 */

/** A grant; the engine's token of it is not the model's affair. */
export interface ModelGrant {
  /** Counts from 1 over all grants. */
  id: number;
  session: number;
  resource: string;
  deadline: Ms;
}

interface ModelWaiter {
  session: number;
  /** Undefined: enqueued, and no `w` yet. */
  op: number | undefined;
  until: Ms;
  leaseMs: Ms;
  twoPhase: boolean;
}

interface ModelResource {
  kind: Kind;
  key: string;
  limit: number;
  holders: ModelGrant[];
  queue: ModelWaiter[];
  lastActivity: Ms;
}

/** Two-phase state of a session and a resource; no entry: NONE. */
interface ModelTicket {
  session: number;
  resource: string;
  leaseMs: Ms;
  /** Undefined: QUEUED; otherwise GRANTED. */
  grant: ModelGrant | undefined;
}

export type ModelAnswer =
  { s: 'granted' | 'acquired'; grant: ModelGrant; leaseMs: Ms } | { s: 'renewed'; leaseMs: Ms } | { s: string };

export interface ModelTarget {
  kind: Kind;
  key: string;
  limit: number;
}

type Options = Omit<EngineOptions, 'maxSubscriptions' | 'onNearlyFull'>;

export class EngineModel {
  resources: ModelResource[] = [];
  tickets: ModelTicket[] = [];
  /** Who has which number in `owner_conn_id`. */
  private sessions: number[] = [];
  private lastSession = 0;
  private grants = 0;
  private draining = false;
  private seen: Ms;

  constructor(
    private readonly options: Options,
    private readonly start: Ms,
    /** `grant` is the model's; the engine's answer names a token in its place. */
    private readonly answer: (session: number, op: number, answer: ModelAnswer) => void,
  ) {
    this.seen = start;
  }

  /** 4.1: ids count from 1. */
  open(): number {
    this.sessions.push(++this.lastSession);
    return this.lastSession;
  }

  /** 4.2 */
  acquire(session: number, op: number, target: ModelTarget, waitMs: Ms, leaseMs: Ms, now: Ms): void {
    const lease = leaseMs === 0 ? this.options.defaultLeaseMs : leaseMs;
    if (this.draining) return this.answer(session, op, { s: 'draining' });
    const entered = this.enter(target, now);
    if (typeof entered === 'string') return this.answer(session, op, { s: entered });
    if (entered.holders.length < entered.limit && entered.queue.length === 0) {
      return this.answer(session, op, {
        s: 'granted',
        grant: this.grant(entered, session, lease, now),
        leaseMs: lease,
      });
    }
    if (this.options.maxWaiters > 0 && entered.queue.length >= this.options.maxWaiters) {
      return this.answer(session, op, { s: 'max_waiters' });
    }
    if (waitMs === 0) return this.answer(session, op, { s: 'timeout' });
    entered.queue.push({ session, op, until: now + waitMs, leaseMs: lease, twoPhase: false });
  }

  /** 4.5, rows with `e` */
  enqueue(session: number, op: number, target: ModelTarget, leaseMs: Ms, now: Ms): void {
    const lease = leaseMs === 0 ? this.options.defaultLeaseMs : leaseMs;
    if (this.draining) return this.answer(session, op, { s: 'draining' });
    const name = nameOf(target);
    if (this.ticketOf(session, name)) return this.answer(session, op, { s: 'already_enqueued' });
    const entered = this.enter(target, now);
    if (typeof entered === 'string') return this.answer(session, op, { s: entered });
    if (entered.holders.length < entered.limit && entered.queue.length === 0) {
      const grant = this.grant(entered, session, lease, now);
      this.tickets.push({ session, resource: name, leaseMs: lease, grant });
      return this.answer(session, op, { s: 'acquired', grant, leaseMs: lease });
    }
    if (this.options.maxWaiters > 0 && entered.queue.length >= this.options.maxWaiters) {
      return this.answer(session, op, { s: 'max_waiters' });
    }
    this.tickets.push({ session, resource: name, leaseMs: lease, grant: undefined });
    entered.queue.push({ session, op: undefined, until: Infinity, leaseMs: lease, twoPhase: true });
    this.answer(session, op, { s: 'queued' });
  }

  /** 4.5, rows with `w` */
  wait(session: number, op: number, target: ModelTarget, waitMs: Ms, now: Ms): void {
    if (this.draining) return this.answer(session, op, { s: 'draining' });
    const ticket = this.ticketOf(session, nameOf(target));
    if (!ticket) return this.answer(session, op, { s: 'not_enqueued' });
    const res = this.find(target)!;
    if (ticket.grant) {
      const { grant, leaseMs } = ticket;
      if (this.isOver(grant)) {
        this.free(res, grant, now);
        return this.answer(session, op, { s: 'lease_expired' });
      }
      grant.deadline = now + leaseMs;
      res.lastActivity = now;
      this.forget(ticket);
      return this.answer(session, op, { s: 'granted', grant, leaseMs });
    }
    const waiter = res.queue.find((w) => w.twoPhase && w.session === session)!;
    // One connection cannot say this (its first `w` blocks it); the engine refuses it.
    if (waiter.op !== undefined) return this.answer(session, op, { s: 'error' });
    waiter.op = op;
    waiter.until = now + waitMs;
    if (waitMs === 0) this.giveUp(res, waiter, { s: 'timeout' }, now);
  }

  /** 4.4 */
  renew(session: number, op: number, target: ModelTarget, grant: ModelGrant | undefined, leaseMs: Ms, now: Ms): void {
    const lease = leaseMs === 0 ? this.options.defaultLeaseMs : leaseMs;
    if (this.draining) return this.answer(session, op, { s: 'draining' });
    const res = this.find(target);
    if (!res || !grant || !res.holders.includes(grant)) return this.answer(session, op, { s: 'error' });
    if (this.isOver(grant)) {
      this.free(res, grant, now);
      return this.answer(session, op, { s: 'error' });
    }
    grant.deadline = now + lease;
    res.lastActivity = now;
    this.answer(session, op, { s: 'renewed', leaseMs: lease });
  }

  /** 4.1, 4.4: by key and token only; also when the lease is over and nobody has noticed. */
  release(session: number, op: number, target: ModelTarget, grant: ModelGrant | undefined, now: Ms): void {
    if (this.draining) return this.answer(session, op, { s: 'draining' });
    const res = this.find(target);
    if (!res || !grant || !res.holders.includes(grant)) return this.answer(session, op, { s: 'error' });
    this.free(res, grant, now);
    this.answer(session, op, { s: 'ok' });
  }

  cancel(session: number, op: number, now: Ms): boolean {
    for (const res of this.resources) {
      const waiter = res.queue.find((w) => w.session === session && w.op === op);
      if (!waiter) continue;
      this.giveUp(res, waiter, { s: 'cancelled' }, now);
      return true;
    }
    return false;
  }

  /** 4.6 */
  close(session: number, autoRelease: boolean, now: Ms): void {
    this.sessions = this.sessions.filter((other) => other !== session);
    this.tickets = this.tickets.filter((ticket) => ticket.session !== session);
    for (const res of this.resources) res.queue = res.queue.filter((waiter) => waiter.session !== session);
    if (!autoRelease) return;
    for (const res of this.resources) {
      for (const grant of res.holders.filter((held) => held.session === session)) this.free(res, grant, now);
    }
  }

  /** 7 */
  drain(now: Ms): void {
    this.draining = true;
    for (const res of this.resources) {
      for (const waiter of res.queue.filter((w) => w.op !== undefined)) this.giveUp(res, waiter, { s: 'error' }, now);
    }
  }

  /** The host has seen everything that arrived until `seen`: each millisecond's sweep, timeouts and collection. */
  advance(now: Ms, seen: Ms): void {
    while (this.seen < seen) {
      this.seen++;
      if (this.draining) continue;
      if ((this.seen - this.start) % this.options.sweepIntervalMs === 0) {
        for (const res of this.resources) this.evict(res, now);
      }
      // 4.3: a timeout that coincides with a grant returns the grant; so the sweep comes first.
      for (const res of this.resources) {
        for (const waiter of res.queue.filter((w) => w.until <= this.seen)) {
          this.giveUp(res, waiter, { s: 'timeout' }, now);
        }
      }
      if ((this.seen - this.start) % this.options.gcIntervalMs === 0) {
        this.resources = this.resources.filter((res) => !this.isForgotten(res));
      }
    }
  }

  /** Every grant that holds a slot, in the order in which they were made. */
  get held(): ModelGrant[] {
    return this.resources.flatMap((res) => res.holders).sort((a, b) => a.id - b.id);
  }

  /** 5; elements sorted by key. */
  stats(now: Ms): Record<'locks' | 'semaphores' | 'idle_locks' | 'idle_semaphores', object[]> {
    const seconds = (ms: Ms): number => Math.max(ms, 0) / 1000;
    const lists = { locks: [] as object[], semaphores: [] as object[], idle: [] as object[], idleSem: [] as object[] };
    for (const { key, limit, holders, queue, lastActivity } of this.resources) {
      const isLock = limit === 1;
      if (holders.length === 0 && queue.length === 0) {
        (isLock ? lists.idle : lists.idleSem).push({ key, idle_s: seconds(now - lastActivity) });
      } else if (isLock) {
        lists.locks.push({
          key,
          owner_conn_id: holders[0]?.session ?? 0,
          lease_expires_in_s: holders[0] ? seconds(holders[0].deadline - now) : 0,
          waiters: queue.length,
        });
      } else {
        lists.semaphores.push({ key, limit, holders: holders.length, waiters: queue.length });
      }
    }
    return {
      locks: sorted(lists.locks),
      semaphores: sorted(lists.semaphores),
      idle_locks: sorted(lists.idle),
      idle_semaphores: sorted(lists.idleSem),
    };
  }

  private find(target: { kind: Kind; key: string }): ModelResource | undefined {
    return this.resources.find((res) => res.kind === target.kind && res.key === target.key);
  }

  private ticketOf(session: number, resource: string): ModelTicket | undefined {
    return this.tickets.find((ticket) => ticket.session === session && ticket.resource === resource);
  }

  private forget(ticket: ModelTicket): void {
    this.tickets = this.tickets.filter((other) => other !== ticket);
  }

  /** 4.2, steps 1 and 2 */
  private enter(target: ModelTarget, now: Ms): ModelResource | 'limit_mismatch' | 'max_locks' {
    let res = this.find(target);
    if (res && res.limit !== target.limit) return 'limit_mismatch';
    if (!res) {
      if (this.resources.length >= this.options.maxLocks) return 'max_locks';
      res = { ...target, holders: [], queue: [], lastActivity: now };
      this.resources.push(res);
    }
    res.lastActivity = now;
    this.evict(res, now);
    return res;
  }

  private grant(res: ModelResource, session: number, leaseMs: Ms, now: Ms): ModelGrant {
    const grant = { id: ++this.grants, session, resource: nameOf(res), deadline: now + leaseMs };
    res.holders.push(grant);
    res.lastActivity = now;
    return grant;
  }

  private isOver(grant: ModelGrant): boolean {
    return this.seen >= grant.deadline;
  }

  private evict(res: ModelResource, now: Ms): void {
    for (const grant of res.holders.filter((held) => this.isOver(held))) this.remove(res, grant, now);
    this.serve(res, now);
  }

  private free(res: ModelResource, grant: ModelGrant, now: Ms): void {
    this.remove(res, grant, now);
    this.serve(res, now);
  }

  private remove(res: ModelResource, grant: ModelGrant, now: Ms): void {
    res.holders = res.holders.filter((held) => held !== grant);
    res.lastActivity = now;
    this.tickets = this.tickets.filter((ticket) => ticket.grant !== grant);
  }

  /** 4.3 */
  private serve(res: ModelResource, now: Ms): void {
    while (!this.draining && res.holders.length < res.limit && res.queue.length > 0) {
      const [{ session, op, leaseMs, twoPhase }] = res.queue.splice(0, 1) as [ModelWaiter];
      const grant = this.grant(res, session, leaseMs, now);
      const ticket = twoPhase ? this.ticketOf(session, nameOf(res))! : undefined;
      if (op === undefined) {
        ticket!.grant = grant;
      } else {
        if (ticket) this.forget(ticket);
        this.answer(session, op, { s: 'granted', grant, leaseMs });
      }
    }
  }

  private giveUp(res: ModelResource, waiter: ModelWaiter, answer: ModelAnswer, now: Ms): void {
    res.queue = res.queue.filter((other) => other !== waiter);
    res.lastActivity = now;
    if (waiter.twoPhase) this.forget(this.ticketOf(waiter.session, nameOf(res))!);
    this.answer(waiter.session, waiter.op!, answer);
  }

  /** 4.7 */
  private isForgotten({ holders, queue, lastActivity }: ModelResource): boolean {
    return holders.length === 0 && queue.length === 0 && this.seen - lastActivity > this.options.gcMaxIdleMs;
  }
}

const nameOf = (target: { kind: Kind; key: string }): string => `${target.kind} ${target.key}`;

export const sorted = <T extends object>(items: readonly T[]): T[] =>
  [...items].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
