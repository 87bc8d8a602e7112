import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { AnyTryOp } from '../commands/commands.js';
import type { Trial } from './trial.js';

/** What a try needs of the queue of its key. */
export interface KeyTryOf {
  overdue(error: LockError): void;
  refused(): void;
  dropped(): void;
  tryFailed(error: LockError): void;
}

/** A try of a queue. */
export abstract class KeyTry<Q extends KeyTryOf> implements Trial, AnyTryOp {
  isDropped = false;
  revivedAt: Ms | undefined = undefined;

  /** @param askedSince when the caller began to wait; undefined: now */
  constructor(
    protected readonly queue: Q,
    private readonly askedSince: Ms | undefined,
  ) {}

  /** AnyTryOp */
  get since(): Ms | undefined {
    return this.revivedAt ?? this.askedSince;
  }

  abstract send(): void;

  /** Trial */
  drop(): void {
    this.isDropped = true;
  }

  /** Trial */
  revive(now: Ms): void {
    this.isDropped = false;
    this.revivedAt = now;
  }

  /** AnyTryOp */
  overdue(error: LockError): void {
    this.queue.overdue(error);
  }

  /** AnyTryOp */
  refused(): void {
    this.queue.refused();
  }

  /** AnyTryOp */
  dropped(): void {
    this.queue.dropped();
  }

  /** AnyTryOp */
  failed(error: LockError): void {
    this.queue.tryFailed(error);
  }

  /** The time from which a grant counts. A caller that arrived after the try was sent gets the whole of its lease. */
  protected validFrom(sentAt: Ms): Ms {
    return Math.max(sentAt, this.revivedAt ?? -Infinity);
  }
}
