import { LockLostError } from '../../common/errors.js';
import { LinkedList, type Listed } from '../../common/linked-list.js';
import type { Ms } from '../../common/system.js';
import type { ClientEvents } from '../events/client-events.js';
import type { LockEvent, LockNotice } from '../events/events.js';
import { HeldLock } from './held-lock.js';
import type { Hold, HoldObserver, HoldStart } from './hold.js';
import type { LockHandle } from './lock-handle.js';
import { JoinedLock } from './joined-lock.js';
import type { Lease } from '../lease/lease.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';

/** All locks held by a client, and the bodies that run under some of them. */
export class Holds implements HoldObserver {
  private readonly held = new LinkedList<Listed<HeldLock>>();
  private readonly scopes = new Set<Hold>();
  private whenLeft: (() => void) | undefined;

  constructor(
    private readonly keeper: LeaseKeeper,
    private readonly events: ClientEvents,
  ) {}

  add(leases: readonly Lease[], start: HoldStart): HeldLock {
    const hold = new HeldLock(this.keeper, leases, start, this);
    this.held.push(hold.listed);
    if (this.events.observed) {
      const { keys, grants, waitedMs } = hold;
      this.events.emit({ type: 'acquired', keys, grants, waitedMs, at: this.keeper.clock.wall() });
    }
    return hold;
  }

  get size(): number {
    return this.held.size;
  }

  /** Whether the lock belongs to this client; keys of other clients mean nothing to it. */
  owns(hold: LockHandle): hold is Hold {
    const whole = hold instanceof JoinedLock ? hold.whole : hold;
    return whole instanceof HeldLock && whole.isOf(this);
  }

  /** A body begins under this hold. */
  enter(hold: Hold): void {
    this.scopes.add(hold);
  }

  /** The body has settled and released its lock. */
  leave(hold: Hold): void {
    this.scopes.delete(hold);
    if (this.scopes.size === 0) this.whenLeft?.();
  }

  get observed(): boolean {
    return this.events.observed;
  }

  emit(event: LockEvent): void {
    this.events.emit(event);
  }

  notice(event: LockNotice): void {
    this.events.notice(event);
  }

  ended(hold: HeldLock): void {
    this.held.remove(hold.listed);
  }

  /**
   * Asks holders without a body to stop, waits up to `timeoutMs` for bodies, and then releases what is left, which may
   * take another `graceMs`.
   */
  async finish(timeoutMs: Ms, graceMs: Ms): Promise<void> {
    for (const { item: hold } of [...this.held]) {
      if (!this.scopes.has(hold)) hold.notify(new LockLostError(hold.keys[0]!, 'shutdown'));
    }
    if (this.scopes.size > 0) await this.within(timeoutMs, new Promise<void>((resolve) => (this.whenLeft = resolve)));
    const returned = Promise.all([...this.held].map(({ item: hold }) => hold.revoke('shutdown')));
    await this.within(graceMs, returned);
  }

  private within(limit: Ms, work: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.keeper.clock.setTimer(resolve, limit, true);
      void work.then(() => {
        this.keeper.clock.clearTimer(timer);
        resolve();
      });
    });
  }
}
