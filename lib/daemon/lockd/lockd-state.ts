import { batchSize } from '../../core/batch-size.js';
import type { EngineDriver } from '../../core/driver.js';
import { Counters } from './counters.js';
import { ExclusiveLocks } from './exclusive-locks.js';
import { Member } from './member.js';
import { Registry } from './registry.js';
import { SharedLocks } from './shared-locks.js';

/** Locks that are released at once when a connection ends: a millisecond or two. */
const AT_ONCE = 1024;

/** What the connections of one listener share: who they are, and what they hold. */
export class LockdState {
  readonly exclusive: ExclusiveLocks;
  readonly shared: SharedLocks;
  readonly registry = new Registry();
  readonly counters = new Counters();
  /** Open connections. */
  connections = 0;

  /** @param maxLocks most names of shared locks; the engine has the same limit for exclusive ones */
  constructor(
    private readonly driver: EngineDriver,
    maxLocks: number,
  ) {
    this.exclusive = new ExclusiveLocks(driver.engine);
    this.shared = new SharedLocks(maxLocks);
  }

  /** The engine grants nothing any more. */
  get isDraining(): boolean {
    return this.driver.engine.draining;
  }

  /** @param peer the address for logs @param address `host:port`, the identity */
  join(peer: string, address: string): Member {
    const member = new Member(address);
    member.session = this.driver.engine.open(member, peer);
    this.connections++;
    return member;
  }

  /**
   * The connection is closed: all its locks are free from now on. If it has very many, they are taken out of the tables
   * in portions; a command that meets one of them meanwhile frees it first.
   */
  leave(member: Member): void {
    member.isGone = true;
    this.connections--;
    this.counters.orphans += member.session.holds.size;
    this.counters.sharedOrphans += member.shared.size;
    this.registry.leave(member);
    this.shared.leaving.add(member);
    this.clear(member, AT_ONCE);
  }

  /** Names held exclusively through this listener. */
  get locks(): number {
    let size = this.exclusive.size;
    for (const member of this.shared.leaving) size -= member.session.holds.size;
    return size;
  }

  private clear(member: Member, most: number): void {
    const { driver, exclusive, shared } = this;
    const now = driver.clock.now();
    const released = exclusive.releaseSome(member, most, now);
    shared.releaseSome(member, most - released);
    if (member.holdsAnything) {
      driver.clock.endOfTurn(() => {
        this.clear(member, batchSize(member.session.holds.size + member.shared.size));
        driver.touch();
      });
      return;
    }
    shared.leaving.delete(member);
    driver.engine.close(member.session, now, true);
  }
}
