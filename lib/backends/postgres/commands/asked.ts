import { type LockError, LockUnavailableError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Session } from '../sessions/session.js';
import type { BatchText } from './batch-text.js';
import type { FreeSlotOp, SlotTryOp, TryOp, UnlockOp } from './commands.js';
import type { IdBook } from './id-book.js';
import { fenceOf } from './statements.js';
import type { Undo } from './undo.js';

/** What ops have to do with the session that they were asked of. */
export interface AskedOf {
  readonly session: Session;
  readonly book: IdBook;
  /** Releases what nobody wants any more. */
  release(asked: Asked): void;
  /** The server says what it cannot: a pooler is between, or we are wrong. */
  impaired(problem: string): void;
}

/** An op, from the time when it is asked of a session. The caller is told once, although more may come of it. */
export interface Asked {
  /** Adds it to a batch. False: it is not sent, and `unsent` tells why. */
  add(text: BatchText, of: AskedOf): boolean;
  /** It was not added to the batch. */
  unsent(): void;
  /** What the server says. False: it makes no sense. */
  answered(outcome: string, of: AskedOf, sentAt: Ms): boolean;
  /** The batch failed: nobody knows how far it got. Everything that it may have taken has to be given back. */
  undo(undo: Undo): void;
  /** It is undone. */
  undone(of: AskedOf, error: LockError): void;
  /** The answer is overdue: the caller is told now. */
  giveUp(error: LockError): void;
  /** The session has ended. */
  ended(error: LockError, wasSent: boolean): void;
  /** Whether it is still worth sending when nobody waits for it any more. */
  readonly isRelease: boolean;
}

/** A try for a lock. */
export class AskedTry implements Asked {
  readonly isRelease = false;
  private isOver = false;

  constructor(private readonly op: TryOp) {}

  add(text: BatchText, { book }: AskedOf): boolean {
    const { op } = this;
    if (this.isOver || op.isDropped || !book.enter(op.id)) return false;
    text.tryLock(op.id);
    return true;
  }

  unsent(): void {
    if (this.isWanted()) this.op.refused();
  }

  answered(outcome: string, of: AskedOf, sentAt: Ms): boolean {
    const { op } = this;
    if (outcome === '0') {
      of.book.leave(op.id);
      if (this.isWanted()) op.refused();
      return true;
    }
    const fence = fenceOf(outcome);
    if (fence === undefined) return false;
    if (this.isWanted()) op.granted(of.session, fence, sentAt);
    else of.release(new AskedUnlock({ id: op.id, done: () => undefined }));
    return true;
  }

  undo(undo: Undo): void {
    undo.unlock(this.op.id);
  }

  undone({ book }: AskedOf, error: LockError): void {
    book.leave(this.op.id);
    this.giveUp(error);
  }

  giveUp(error: LockError): void {
    if (this.isWanted()) this.op.failed(error);
  }

  ended(error: LockError): void {
    this.giveUp(error);
  }

  /** Whether the caller is to be told, which is done once. */
  private isWanted(): boolean {
    if (this.isOver) return false;
    this.isOver = true;
    return !this.op.isDropped;
  }
}

/** What the releases of locks and of slots have in common. */
abstract class AskedRelease<O extends Pick<UnlockOp, 'done'>> implements Asked {
  readonly isRelease = true;
  private isOver = false;

  constructor(protected readonly op: O) {}

  abstract add(text: BatchText, of: AskedOf): boolean;
  abstract undo(undo: Undo): void;

  /** It is not in the book: another release was quicker. */
  unsent(): void {
    this.tell('gone');
  }

  answered(outcome: string, of: AskedOf): boolean {
    const isReleased = outcome.startsWith('1');
    if (!isReleased) of.impaired('a lock was not held any more when it was released');
    this.tell(isReleased ? 'released' : 'gone');
    return true;
  }

  undone(): void {
    this.tell('released');
  }

  giveUp(error: LockError): void {
    this.tell(error);
  }

  /** The end of the session frees what a release that was sent did not. */
  ended(_: LockError, wasSent: boolean): void {
    this.tell(wasSent ? 'released' : 'gone');
  }

  private tell(outcome: Parameters<UnlockOp['done']>[0]): void {
    if (this.isOver) return;
    this.isOver = true;
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

/** A try for a slot of a semaphore. */
export class AskedTrySlot implements Asked {
  readonly isRelease = false;
  private isOver = false;
  /** Those that were sent, and are in the book. */
  private candidates: readonly bigint[] = [];

  constructor(private readonly op: SlotTryOp) {}

  add(text: BatchText, { book }: AskedOf): boolean {
    const { gate, isHead, isDropped, candidates } = this.op;
    if (this.isOver || isDropped) return false;
    this.candidates = candidates.filter((slot) => book.enter(slot));
    if (this.candidates.length === 0) return false;
    text.trySlot(gate, isHead, this.candidates);
    return true;
  }

  unsent(): void {
    if (this.isWanted()) this.op.refused();
  }

  answered(outcome: string, of: AskedOf, sentAt: Ms): boolean {
    const [name = '', clock = ''] = outcome.split('/');
    const slot = this.candidates.find((candidate) => String(candidate) === name);
    const fence = fenceOf(clock);
    if (name !== '-' && (slot === undefined || fence === undefined)) return false;
    for (const other of this.candidates) if (other !== slot) of.book.leave(other);
    const { op } = this;
    if (slot === undefined) {
      if (this.isWanted()) op.refused();
    } else if (this.isWanted()) {
      op.granted(of.session, slot, fence!, sentAt);
    } else {
      of.release(new AskedFreeSlot({ slot, gate: op.gate, channel: op.channel, done: () => undefined }));
    }
    return true;
  }

  undo(undo: Undo): void {
    for (const slot of this.candidates) undo.unlock(slot);
    if (!this.op.isHead) undo.unlockShared(this.op.gate);
  }

  undone({ book }: AskedOf, error: LockError): void {
    for (const slot of this.candidates) book.leave(slot);
    this.giveUp(error);
  }

  giveUp(error: LockError): void {
    if (this.isWanted()) this.op.failed(error);
  }

  ended(error: LockError): void {
    this.giveUp(error);
  }

  private isWanted(): boolean {
    if (this.isOver) return false;
    this.isOver = true;
    return !this.op.isDropped;
  }
}

/** What the callers of an overdue batch are told. */
export const overdue = (server: string, after: Ms): LockError =>
  new LockUnavailableError(`Postgres has not answered for ${after} ms`, { server });
