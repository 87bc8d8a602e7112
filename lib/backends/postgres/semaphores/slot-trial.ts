import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { SlotTryOp } from '../commands/commands.js';
import type { Session } from '../sessions/session.js';
import type { SlotUser } from './slot-user.js';

/** What a trial needs of its semaphore. */
export interface TrialOf {
  readonly gate: bigint;
  readonly channel: string;
  /** In the order in which they are to be tried. */
  candidates(): readonly bigint[];
  /** The trial has been answered: the next one can be sent. */
  answered(): void;
  /** Nobody wants the slot any more. */
  giveBack(session: Session, slot: bigint): void;
}

/** One try for a slot, from the time when it is asked for. */
export class SlotTrial implements SlotTryOp {
  /** Never set: the semaphore has to hear of the answer even if nobody else wants it. */
  readonly isDropped = false;
  candidates: readonly bigint[] = [];
  private isWanted = true;

  constructor(
    private readonly of: TrialOf,
    private readonly user: SlotUser,
    readonly isHead: boolean,
  ) {}

  get gate(): bigint {
    return this.of.gate;
  }

  get channel(): string {
    return this.of.channel;
  }

  get isOver(): boolean {
    return !this.isWanted;
  }

  /** Not wanted any more: the user is not called, and a slot that is granted is released. */
  drop(): void {
    this.isWanted = false;
  }

  /** It is about to be sent. */
  choose(): void {
    this.candidates = this.of.candidates();
  }

  granted(session: Session, slot: bigint, fence: bigint, sentAt: Ms): void {
    if (this.take()) this.user.granted({ session, slot, fence, sentAt });
    else this.of.giveBack(session, slot);
    this.of.answered();
  }

  refused(): void {
    if (this.take()) this.user.refused();
    this.of.answered();
  }

  failed(error: LockError): void {
    this.fail(error);
    this.of.answered();
  }

  /** It was not sent. */
  fail(error: LockError): void {
    if (this.take()) this.user.failed(error);
  }

  private take(): boolean {
    const was = this.isWanted;
    this.isWanted = false;
    return was;
  }
}
