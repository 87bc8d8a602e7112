import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Session } from '../sessions/session.js';
import type { Released } from '../../backend.js';
import type { BatchText } from './batch-text.js';
import type { AnyReleaseOp, AnyTryOp, FreeSlotOp, SlotTryOp, TryOp, UnlockOp } from './commands.js';
import type { IdBook } from './id-book.js';
import { fenceOf } from './statements.js';
import type { Undo } from './undo.js';

/** What ops have to do with the session that they were asked of. */
export interface AskedOf {
  readonly session: Session;
  readonly book: IdBook;
  /** The server says what it cannot: a pooler is between, or we are wrong. */
  impaired(problem: string): void;
}

/** An op, from the time when it is asked of a session until nothing comes of it any more. */
export interface Asked {
  /** Since when its caller waits; after it was told that the answer is overdue, since then. Set by the session. */
  askedAt: Ms;
  /** Undefined: since it was asked. Its caller has waited for another statement before. */
  readonly since: Ms | undefined;
  /** Adds it to a batch. False: it is not sent, and `unsent` tells why. */
  add(text: BatchText, of: AskedOf): boolean;
  /** It is not sent. @param error why; undefined: it could not be added to the batch */
  unsent(error?: LockError): void;
  /** What the server says. False: it makes no sense. */
  answered(outcome: string, of: AskedOf, sentAt: Ms): boolean;
  /** The batch failed: nobody knows how far it got. Everything that it may have taken has to be given back. */
  undo(undo: Undo): void;
  /** It is undone. */
  undone(of: AskedOf, error: LockError): void;
  /** The answer is overdue: the caller is told now. May be called more than once. */
  giveUp(error: LockError): void;
  /** It was sent, and the session has ended. */
  ended(error: LockError): void;
  /** Whether it is still worth sending when nobody waits for it any more. */
  readonly isRelease: boolean;
}

/** What the tries for locks and for slots have in common. */
abstract class AskedAny<O extends AnyTryOp> implements Asked {
  readonly isRelease = false;
  askedAt: Ms = 0;
  protected isOver = false;
  private isUnwanted = false;

  constructor(protected readonly op: O) {}

  get since(): Ms | undefined {
    return this.op.since;
  }

  add(text: BatchText, of: AskedOf): boolean {
    this.isUnwanted = this.op.isDropped;
    return !this.isUnwanted && this.enter(text, of.book);
  }

  unsent(error?: LockError): void {
    const { op } = this;
    if (error) op.failed(error);
    else if (this.isUnwanted) op.dropped();
    else op.refused();
  }

  undone({ book }: AskedOf, error: LockError): void {
    this.leave(book);
    this.ended(error);
  }

  giveUp(error: LockError): void {
    if (!this.op.isDropped) this.op.overdue(error);
  }

  ended(error: LockError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.op.failed(error);
  }

  abstract answered(outcome: string, of: AskedOf, sentAt: Ms): boolean;
  abstract undo(undo: Undo): void;

  /** @returns false if all that it would try for is in the book */
  protected abstract enter(text: BatchText, book: IdBook): boolean;

  /** Nothing is taken because of it. */
  protected abstract leave(book: IdBook): void;
}

/** A try for a lock. */
export class AskedTry extends AskedAny<TryOp> {
  answered(outcome: string, { book, session }: AskedOf, sentAt: Ms): boolean {
    const { op } = this;
    if (outcome === '0') {
      this.isOver = true;
      book.leave(op.id);
      op.refused();
      return true;
    }
    const fence = fenceOf(outcome);
    if (fence === undefined) return false;
    this.isOver = true;
    op.granted(session, fence, sentAt);
    return true;
  }

  undo(undo: Undo): void {
    undo.unlock(this.op.id);
  }

  protected enter(text: BatchText, book: IdBook): boolean {
    if (!book.enter(this.op.id)) return false;
    text.tryLock(this.op.id);
    return true;
  }

  protected leave(book: IdBook): void {
    book.leave(this.op.id);
  }
}

/** A try for a slot of a semaphore. */
export class AskedTrySlot extends AskedAny<SlotTryOp> {
  /** Those that were sent, and are in the book. */
  private candidates: readonly bigint[] = [];

  answered(outcome: string, { book, session }: AskedOf, sentAt: Ms): boolean {
    const [name = '', clock = ''] = outcome.split('/');
    const slot = this.candidates.find((candidate) => String(candidate) === name);
    const fence = fenceOf(clock);
    if (name !== '-' && (slot === undefined || fence === undefined)) return false;
    this.isOver = true;
    for (const other of this.candidates) if (other !== slot) book.leave(other);
    if (slot === undefined) this.op.refused();
    else this.op.granted(session, slot, fence!, sentAt);
    return true;
  }

  undo(undo: Undo): void {
    for (const slot of this.candidates) undo.unlock(slot);
    if (!this.op.isHead) undo.unlockShared(this.op.gate);
  }

  protected enter(text: BatchText, book: IdBook): boolean {
    const { gate, isHead, candidates } = this.op;
    this.candidates = candidates.filter((slot) => book.enter(slot));
    if (this.candidates.length === 0) return false;
    text.trySlot(gate, isHead, this.candidates);
    return true;
  }

  protected leave(book: IdBook): void {
    for (const slot of this.candidates) book.leave(slot);
  }
}

/** What the releases of locks and of slots have in common. */
abstract class AskedRelease<O extends AnyReleaseOp> implements Asked {
  readonly isRelease = true;
  readonly since = undefined;
  askedAt: Ms = 0;
  private isTold = false;
  private isOver = false;

  constructor(protected readonly op: O) {}

  abstract add(text: BatchText, of: AskedOf): boolean;
  abstract undo(undo: Undo): void;

  /** It is not in the book, so that another release was quicker; or the session has ended. */
  unsent(): void {
    this.end('gone');
  }

  answered(outcome: string, of: AskedOf): boolean {
    const isReleased = outcome.startsWith('1');
    if (!isReleased) of.impaired('a lock was not held any more when it was released');
    this.end(isReleased ? 'released' : 'gone');
    return true;
  }

  undone(): void {
    this.end('released');
  }

  giveUp(error: LockError): void {
    this.tell(error);
  }

  /** The end of the session frees what a release that was sent did not. */
  ended(): void {
    this.end('released');
  }

  private end(outcome: Released): void {
    if (this.isOver) return;
    this.isOver = true;
    this.op.over();
    this.tell(outcome);
  }

  private tell(outcome: Released): void {
    if (this.isTold) return;
    this.isTold = true;
    this.op.done(outcome);
  }
}

export class AskedUnlock extends AskedRelease<UnlockOp> {
  add(text: BatchText, { book }: AskedOf): boolean {
    if (!book.leave(this.op.id)) return false;
    text.unlock(this.op.id);
    return true;
  }

  undo(undo: Undo): void {
    undo.unlock(this.op.id);
  }
}

export class AskedFreeSlot extends AskedRelease<FreeSlotOp> {
  add(text: BatchText, { book }: AskedOf): boolean {
    const { slot, gate, channel } = this.op;
    if (!book.leave(slot)) return false;
    text.freeSlot(slot, gate, channel);
    return true;
  }

  undo(undo: Undo): void {
    undo.unlock(this.op.slot);
    undo.unlockShared(this.op.gate);
  }
}
