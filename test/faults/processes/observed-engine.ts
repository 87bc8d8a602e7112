import type { EngineObserver, FreedBy, ObservedHold, ObservedWaiter } from '../../../lib/core/observer.js';
import type { LogWriter } from '../log/writer.js';
import { nanos } from '../log/time.js';

/** A lease that is extended by the same length again says nothing new. */
const OTHER_LEASE_MS = 500;

const CODES: Readonly<Record<FreedBy, string>> = { release: 'r', expiry: 'e', disconnect: 'c' };

const fenceOf = ({ token }: ObservedHold): string => token.slice(0, 16);

/** Notes what an engine grants and frees, and the order of its queues. */
export class EngineLog implements EngineObserver {
  private readonly places = new WeakMap<ObservedWaiter, number>();
  private readonly leases = new WeakMap<ObservedHold, number>();
  private lastPlace = 0;
  /** Holders and waiters of each key that has any. */
  private readonly users = new Map<string, number>();

  constructor(private readonly log: LogWriter) {}

  /** Keys that somebody holds or waits for. */
  get busyKeys(): string[] {
    return [...this.users.keys()];
  }

  granted(_kind: unknown, key: string, _waitedMs: number, hold: ObservedHold, waiter?: ObservedWaiter): void {
    const leaseMs = hold.due - hold.since;
    const place = waiter ? this.places.get(waiter)! : 0;
    this.leases.set(hold, leaseMs);
    this.log.add('G', nanos(), key, fenceOf(hold), hold.session.id, place, String(hold.res.limit), leaseMs);
    if (!waiter) this.count(key, 1);
  }

  freed(_kind: unknown, key: string, _heldMs: number, by: FreedBy, hold: ObservedHold): void {
    this.log.add('F', nanos(), fenceOf(hold), CODES[by]);
    this.count(key, -1);
  }

  queued(_kind: unknown, key: string, _length: number, waiter: ObservedWaiter): void {
    this.places.set(waiter, ++this.lastPlace);
    this.log.add('Q', nanos(), this.lastPlace, key);
    this.count(key, 1);
  }

  left(_kind: unknown, key: string, _waitedMs: number, _by: unknown, waiter: ObservedWaiter): void {
    this.log.add('L', nanos(), this.places.get(waiter)!, key);
    this.count(key, -1);
  }

  refused(): void {
    // The callers say so themselves.
  }

  extended(_kind: unknown, _key: string, hold: ObservedHold): void {
    const leaseMs = Math.round(hold.due - performance.now());
    if (Math.abs(leaseMs - this.leases.get(hold)!) <= OTHER_LEASE_MS) return;
    this.leases.set(hold, leaseMs);
    this.log.add('X', nanos(), fenceOf(hold), leaseMs);
  }

  private count(key: string, change: number): void {
    const users = (this.users.get(key) ?? 0) + change;
    if (users === 0) this.users.delete(key);
    else this.users.set(key, users);
  }
}
