import type { AcquireRequest } from '../../backends/backend.js';
import { LockLostError } from '../../common/errors.js';
import { printAs } from '../../common/inspection.js';
import type { Ms } from '../../common/system.js';
import type { HeldGrant } from '../events/events.js';
import { runWithLockIn } from './current-lock.js';
import type { Hold, LockedCall, LockEntry, Origin } from './hold.js';
import { lossOfPart } from './lock-lost-error.js';

/** A lock as its parts see it. */
export interface Whole extends Hold {
  /** Declares the loss of an overdue lock. */
  look(): void;
  /** Like covers(), but also while the release waits for the parts, which still run under it. */
  has(req: AcquireRequest): boolean;
  /** Marks the error as one of this lock's client. */
  noteOrigin<E>(error: E): E;
  /** Called once by each part when it is released. */
  partReleased(): void;
}

/**
 * A part of a held lock (`onNested: lock`, or an override's `super`). It is held as long as that lock is. Its release
 * frees nothing, but the release of that lock waits for it.
 */
export class JoinedLock implements Hold {
  readonly waitedMs: Ms = 0;
  #ownLoss: LockLostError | undefined;
  /** Its lock is cleared once this part is released. */
  readonly #entry: LockEntry = { lock: this };
  readonly #whole: Whole;
  readonly #origin: Origin;

  constructor(
    whole: Whole,
    readonly keys: readonly string[],
    origin: Origin,
  ) {
    this.#whole = whole;
    this.#origin = origin;
  }

  get whole(): Whole {
    return this.#whole;
  }

  get grants(): readonly HeldGrant[] {
    return this.keys.map((key) => this.whole.grants.find((grant) => grant.key === key)!);
  }

  get token(): string {
    return this.grants[0]!.token;
  }

  get fence(): bigint | undefined {
    return this.keys.length === 1 ? this.grants[0]!.fence : undefined;
  }

  get isHeld(): boolean {
    return !this.isReleased && this.whole.isHeld;
  }

  get remainingMs(): Ms {
    return this.isReleased ? 0 : this.whole.remainingMs;
  }

  get signal(): AbortSignal {
    return this.whole.signal;
  }

  /** Its own copy of the loss, which carries the result of its body. */
  get loss(): LockLostError | undefined {
    const { loss } = this.whole;
    return loss && (this.#ownLoss ??= this.whole.noteOrigin(lossOfPart(this.keys, loss)));
  }

  onLoss(listener: (loss: LockLostError) => void): () => void {
    return this.whole.onLoss(() => listener(this.loss!));
  }

  get call(): LockedCall | undefined {
    return this.#origin.call;
  }

  get isReleased(): boolean {
    return this.#entry.lock === undefined;
  }

  names(req: AcquireRequest): boolean {
    return this.whole.names(req);
  }

  covers(req: AcquireRequest): boolean {
    return !this.isReleased && this.whole.has(req);
  }

  join(keys: readonly string[], origin: Origin): Hold {
    return this.whole.join(keys, origin);
  }

  run<R>(fn: () => R): R {
    return runWithLockIn(this.#origin.around, this.#entry, fn);
  }

  keepUntil(time: Ms): void {
    this.whole.keepUntil(time);
  }

  limitTo(_maxHoldMs: Ms): void {
    // The limit is that of the whole lock.
  }

  async settle(): Promise<LockLostError | undefined> {
    await this.whole.settle();
    return this.loss;
  }

  assertHeld(): void {
    this.whole.look();
    if (!this.isHeld) throw this.loss ?? this.over();
  }

  async renew(leaseTtlS?: number): Promise<Ms> {
    if (this.isReleased) throw this.over();
    return this.whole.renew(leaseTtlS);
  }

  async release(): Promise<boolean> {
    this.whole.look();
    if (!this.isReleased) {
      this.#entry.lock = undefined;
      this.whole.partReleased();
    }
    return this.whole.loss === undefined;
  }

  toJSON(): object {
    const { keys, isHeld, waitedMs } = this;
    const grants = this.grants.map(({ key, server, fence }) => ({ key, server, fence: fence?.toString() }));
    return { keys, grants, isHeld, waitedMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  private over(): LockLostError {
    const { server } = this.grants[0]!;
    return this.whole.noteOrigin(new LockLostError(this.keys[0]!, 'expired', { server }));
  }
}
printAs('LockHandle', JoinedLock);
