import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { SlotTryOp } from '../commands/commands.js';
import type { Session } from '../sessions/session.js';
import type { SlotUser } from './slot-user.js';

/** What a trial needs of its semaphore. */
export interface TrialOf {
  readonly gate: bigint;
  /** The slots in the order in which they are tried. */
  candidates(): readonly bigint[];
  /** The answer is overdue, and so is everything that waits for it. */
  overdue(error: LockError): void;
  /** The trial has been answered: the next one can be sent. */
  answered(): void;
}

/** One try for a slot, from the request on. */
export class SlotTrial implements SlotTryOp {
  candidates: readonly bigint[] = [];
  /** Whether the user has been told the outcome. */
  isOver = false;

  /** @param askedAt when it was asked for */
  constructor(
    private readonly of: TrialOf,
    private readonly user: SlotUser,
    readonly isHead: boolean,
    private readonly askedAt: Ms,
  ) {}

  get since(): Ms {
    return this.user.since ?? this.askedAt;
  }

  get gate(): bigint {
    return this.of.gate;
  }

  get isDropped(): boolean {
    return this.user.isDropped;
  }

  /** The try is about to be sent. */
  choose(): void {
    this.candidates = this.of.candidates();
  }

  granted(session: Session, slot: bigint, fence: bigint, sentAt: Ms): void {
    this.isOver = true;
    this.user.granted({ session, slot, fence, sentAt });
    this.of.answered();
  }

  refused(): void {
    this.isOver = true;
    this.user.refused();
    this.of.answered();
  }

  dropped(): void {
    this.skip();
    this.of.answered();
  }

  failed(error: LockError): void {
    this.fail(error);
    this.of.answered();
  }

  overdue(error: LockError): void {
    this.late(error);
    this.of.overdue(error);
  }

  /** Tells the user that the answer is overdue: to this try, or to the one before it. */
  late(error: LockError): void {
    if (!this.isDropped) this.user.overdue(error);
  }

  /** The try was not sent, because nobody wants it any more. */
  skip(): void {
    this.isOver = true;
    this.user.dropped();
  }

  /** The try was not sent. */
  fail(error: LockError): void {
    this.isOver = true;
    this.user.failed(error);
  }
}
