import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { AnyReleaseOp, Commands } from '../commands/commands.js';
import { type SlotIds, slotIdsOf } from '../ids/slot-ids.js';
import { LimitLock } from './limit-lock.js';
import { SlotTrial, type TrialOf } from './slot-trial.js';
import type { SlotGrant, SlotUser } from './slot-user.js';

/** What a semaphore needs of its surroundings. */
export interface SemaphoreHost {
  readonly commands: Pick<Commands, 'session' | 'outage' | 'query' | 'trySlot' | 'freeSlot'>;
  readonly clock: { now(): Ms };
  readonly entropy: { unit(): number };
  /** The semaphore comes into use. */
  used(semaphore: Semaphore): void;
  /** Nobody in this process holds the semaphore, waits or tries for it any more. */
  unused(semaphore: Semaphore): void;
  /** Other processes use another limit. */
  mismatched(semaphore: Semaphore): void;
}

/**
 * A semaphore in this process. One try is in flight at a time: a session may take its own lock again, so that two tries
 * cannot have the same candidates.
 */
export class Semaphore implements TrialOf {
  private readonly ids: SlotIds;
  private readonly limitLock: LimitLock;
  private trials: SlotTrial[] = [];
  private isBusy = false;
  /** Holds, tries and queues of this process. */
  private uses = 0;

  /** @param key with its namespace */
  constructor(
    readonly key: string,
    readonly limit: number,
    private readonly host: SemaphoreHost,
  ) {
    this.ids = slotIdsOf(key, limit);
    this.limitLock = new LimitLock(key, limit, host.commands);
  }

  get gate(): bigint {
    return this.ids.gate;
  }

  get channel(): string {
    return this.ids.channel;
  }

  /** A hold or a queue begins. Its limit stays published until `leave`. */
  enter(): void {
    if (this.uses++ === 0) this.host.used(this);
  }

  leave(): void {
    if (--this.uses === 0) this.host.unused(this);
  }

  /**
   * Tries once for a slot. The answer may come before it returns; it comes in any case.
   * @param isHead a wait session of this process has the gate
   */
  try(user: SlotUser, isHead: boolean): SlotTrial {
    const trial = new SlotTrial(this, user, isHead, this.host.clock.now());
    this.enter();
    this.trials.push(trial);
    this.next();
    return trial;
  }

  /** Releases a slot. The session that has the gate is notified. */
  free({ session, slot }: Pick<SlotGrant, 'session' | 'slot'>, user: AnyReleaseOp): void {
    const { gate, channel } = this;
    this.host.commands.freeSlot(session, {
      slot,
      gate,
      channel,
      over: () => user.over(),
      done: (outcome) => user.done(outcome),
    });
  }

  /** Takes the limit back from the other processes. */
  withdraw(): void {
    this.limitLock.withdraw();
  }

  /** TrialOf. Begins at a random slot, because most slots of a busy semaphore are taken. */
  candidates(): readonly bigint[] {
    const { slots } = this.ids;
    const from = Math.floor(this.host.entropy.unit() * slots.length);
    return from === 0 ? slots : [...slots.slice(from), ...slots.slice(0, from)];
  }

  /** TrialOf */
  answered(): void {
    this.isBusy = false;
    this.leave();
    this.next();
  }

  /** TrialOf */
  overdue(error: LockError): void {
    for (const trial of [...this.trials]) trial.late(error);
  }

  private next(): void {
    while (!this.isBusy) {
      const trial = this.trials.shift();
      if (!trial) return;
      if (trial.isDropped) {
        trial.skip();
        this.leave();
        continue;
      }
      this.isBusy = true;
      if (this.limitLock.isPublished) this.send(trial);
      else this.limitLock.publish(trial.since, (error) => (error ? this.refuse(trial, error) : this.send(trial)));
    }
  }

  private send(trial: SlotTrial): void {
    trial.choose();
    this.host.commands.trySlot(trial);
  }

  /** The limit could not be published: the others would fail too. */
  private refuse(first: SlotTrial, error: LockError): void {
    const { trials } = this;
    this.trials = [];
    if (!error.isTransient) this.host.mismatched(this);
    for (const trial of trials) {
      trial.fail(error);
      this.leave();
    }
    first.failed(error);
  }
}
