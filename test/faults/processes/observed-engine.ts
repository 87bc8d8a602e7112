import { Engine } from '../../../lib/core/engine.js';
import type { Hold, Resource, Ticket, Waiter } from '../../../lib/core/resource.js';
import type { Session } from '../../../lib/core/session.js';
import { Slots } from '../../../lib/core/slots.js';
import type { LogWriter } from '../log/writer.js';
import { nanos } from '../log/time.js';

/** The seams of the engine that are looked at: methods that its subclasses, but nobody else, may call. */
interface Seams {
  grant(res: Resource, session: Session, leaseMs: number, now: number): Hold;
  extend(hold: Hold, due: number): void;
  takeAway(hold: Hold): void;
  leaveQueue(waiter: Waiter, now: number): void;
  unqueue(waiter: Waiter): void;
  await(waiter: Waiter, op: number, due: number): void;
  release(...args: unknown[]): void;
  close(...args: unknown[]): void;
  enqueue(session: Session, op: number, cmd: { kind: Resource['kind']; key: string }, now: number): void;
  table: { get(kind: Resource['kind'], key: string): Resource | undefined };
}

const fenceOf = ({ token }: Hold): string => token.slice(0, 16);

/**
 * Notes what every engine of this process grants and frees, and the order of its queues. It is slipped over the
 * engine's prototypes, so that the daemon runs as it is shipped and lib needs no hooks for its tests.
 */
export function observeEngines(log: LogWriter): void {
  const slots = Slots.prototype as unknown as Seams;
  const engine = Engine.prototype as unknown as Seams;
  const places = new WeakMap<Waiter, number>();
  const leases = new WeakMap<Hold, number>();
  let lastPlace = 0;
  /** Why holds are being freed. */
  let cause = 'e';
  /** Taken out of the queue a moment ago, by whoever serves it. */
  let served: Waiter | undefined;

  const takesPlace = (waiter: Waiter): void => {
    if (places.has(waiter)) return;
    places.set(waiter, ++lastPlace);
    log.add('Q', nanos(), lastPlace, waiter.res.key);
  };

  const during = (target: Seams, name: 'release' | 'close', why: string): void => {
    const original = target[name];
    target[name] = function (this: Seams, ...args) {
      cause = why;
      try {
        original.apply(this, args);
      } finally {
        cause = 'e';
      }
    };
  };
  during(engine, 'release', 'r');
  during(engine, 'close', 'c');

  const { grant, extend, takeAway, leaveQueue, unqueue, await: wait } = slots;
  slots.grant = function (res, session, leaseMs, now) {
    const waiter = served?.res === res && served.session === session ? served : undefined;
    served = undefined;
    const hold = grant.call(this, res, session, leaseMs, now);
    leases.set(hold, leaseMs);
    const place = waiter ? places.get(waiter)! : 0;
    log.add('G', nanos(), res.key, fenceOf(hold), session.id, place, String(res.limit), leaseMs);
    return hold;
  };
  slots.extend = function (hold, due) {
    const leaseMs = Math.round(due - performance.now());
    if (Math.abs(leaseMs - leases.get(hold)!) > 500) {
      leases.set(hold, leaseMs);
      log.add('X', nanos(), fenceOf(hold), leaseMs);
    }
    extend.call(this, hold, due);
  };
  slots.takeAway = function (hold) {
    log.add('F', nanos(), fenceOf(hold), cause);
    takeAway.call(this, hold);
  };
  slots.unqueue = function (waiter) {
    unqueue.call(this, waiter);
    served = waiter;
  };
  slots.leaveQueue = function (waiter, now) {
    leaveQueue.call(this, waiter, now);
    served = undefined;
    log.add('L', nanos(), places.get(waiter)!, waiter.res.key);
  };
  slots.await = function (waiter, op, due) {
    takesPlace(waiter);
    wait.call(this, waiter, op, due);
  };
  const { enqueue } = engine;
  engine.enqueue = function (session, op, cmd, now) {
    enqueue.call(this, session, op, cmd, now);
    const res = this.table.get(cmd.kind, cmd.key);
    const ticket: Ticket | undefined = res && session.tickets.get(res);
    if (ticket?.waiter) takesPlace(ticket.waiter);
  };
}
