import type { HeldGrant, LockClient, LockHandle, LockLostEvent } from '../../../lib/entries/client.js';
import type { LogWriter } from '../log/writer.js';
import { nanos } from '../log/time.js';

/** One grant in the hands of this process. */
interface Holding {
  readonly lock: LockHandle;
  readonly fence: string;
  affirmedAt: number;
  /** Read as not held, or told. */
  lost: boolean;
  /** By `lockLost$`, which is final. */
  told: boolean;
  /** When the work under it was done, where the library gives it back. */
  doneAt: number;
}

/** The name of a grant in the log; begins with its fence, sixteen hexadecimal digits. */
export type NameOf = (grant: HeldGrant) => string;

/** Where a token begins with the fence, which no other grant has. */
export const tokenFence: NameOf = ({ token }) => token.slice(0, 16);

/** Where two keys may get the same fence, and two clients one each of the same semaphore. @param client its number */
export const fenceAndMore =
  (client: number): NameOf =>
  ({ fence, key }) =>
    `${fence!.toString(16).padStart(16, '0')}/${client}/${key}`;

/** Looks after what a client holds, and writes down what its holders are told. */
export class Holdings {
  private readonly byFence = new Map<string, Holding>();

  constructor(
    client: LockClient,
    private readonly log: LogWriter,
    private readonly nameOf: NameOf = tokenFence,
  ) {
    client.lockLost$.subscribe((event) => this.told(event));
  }

  granted(call: string, lock: LockHandle): void {
    const at = nanos();
    for (const grant of lock.grants) {
      const fence = this.nameOf(grant);
      this.log.add('g', at, call, grant.key, fence);
      this.byFence.set(fence, { lock, fence, affirmedAt: at, lost: false, told: false, doneAt: 0 });
    }
  }

  /**
   * Looks whether the lock is held, and does a moment's work if it is. The time is taken before the look: what is
   * believed at a moment was looked up after it. What reads as held again, without having been told to be lost, is believed
   * in again: the proof may have lain in the buffers of a process that stood still. The daemon's log says whether it did.
   */
  look(lock: LockHandle, write = false): boolean {
    const at = nanos();
    const held = lock.isHeld;
    for (const holding of this.of(lock)) {
      if (held && holding.told) this.log.add('!', at, `held again after its loss: ${holding.fence}`);
      if (held) {
        if (write || holding.lost) this.log.add('w', at, holding.fence);
        holding.affirmedAt = at;
        holding.lost = false;
      } else {
        this.lose(holding, nanos(), 'seen');
      }
    }
    if (!held) this.mustRefuse(lock);
    return held;
  }

  /** Works for so long; false if the lock was lost meanwhile. */
  async work(lock: LockHandle, ms: number): Promise<boolean> {
    const end = performance.now() + ms;
    for (let looks = 0; performance.now() < end; looks++) {
      if (!this.look(lock, looks % 8 === 0)) return false;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return this.look(lock);
  }

  async release(lock: LockHandle): Promise<void> {
    const held = this.look(lock);
    const mine = this.of(lock);
    if (held) for (const { fence, affirmedAt } of mine) this.log.add('r', nanos(), fence, affirmedAt);
    for (const { fence } of mine) this.byFence.delete(fence);
    const released = await lock.release();
    const at = nanos();
    for (const { fence } of mine) this.log.add('d', at, fence, released ? 1 : 0);
  }

  isLost(lock: LockHandle): boolean {
    return this.of(lock).some(({ lost }) => lost);
  }

  /** The library gives it back from here on (withLock). */
  ends(lock: LockHandle): void {
    for (const holding of this.of(lock)) {
      holding.doneAt = nanos();
      if (holding.lost) continue;
      this.log.add('r', nanos(), holding.fence, holding.affirmedAt);
      this.byFence.delete(holding.fence);
    }
  }

  /**
   * withLock reports a success. After a stall a lock may have read as over before its proof, which lay in the buffers, was
   * read: then it has been held all the time, and the daemon's log must say so too.
   */
  succeeded(lock: LockHandle): void {
    for (const { fence, told, doneAt } of this.of(lock)) {
      if (told) this.log.add('!', nanos(), `withLock reported success after the loss of ${fence}`);
      else this.log.add('r', nanos(), fence, doneAt);
    }
    this.forget(lock);
  }

  forget(lock: LockHandle): void {
    for (const { fence } of this.of(lock)) this.byFence.delete(fence);
  }

  private of(lock: LockHandle): Holding[] {
    return lock.grants.flatMap((grant) => this.byFence.get(this.nameOf(grant)) ?? []);
  }

  private told(event: LockLostEvent): void {
    const at = nanos();
    for (const grant of event.grants) {
      const holding = this.byFence.get(this.nameOf(grant));
      if (!holding) continue;
      holding.told = true;
      this.lose(holding, at, event.reason);
      if (holding.lock.isHeld) this.log.add('!', at, `told of its loss, and it reads as held: ${holding.fence}`);
    }
  }

  private lose(holding: Holding, at: number, reason: string): void {
    if (holding.lost) return;
    holding.lost = true;
    this.log.add('l', at, holding.fence, holding.affirmedAt, reason);
  }

  private mustRefuse(lock: LockHandle): void {
    try {
      lock.assertHeld();
      this.log.add('!', nanos(), `assertHeld() passed on a lock that is not held: ${lock.token}`);
    } catch (error) {
      if ((error as { code?: string }).code !== 'LOCK_LOST') throw error;
    }
  }
}
