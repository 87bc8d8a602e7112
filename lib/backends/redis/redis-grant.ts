import type { Ms } from '../../common/system.js';
import type { AcquireRequest, Grant, LockKind, Owner } from '../backend.js';
import type { LockKeys } from './scripts/companion-keys.js';
import { fenceOf, saltOf } from './scripts/token.js';
import type { Asker } from './waiting.js';

/** A lost connection costs no lock: only the lease ends it. */
const LEASE: Owner = Object.freeze({
  id: 'redis',
  provenUntil: () => Infinity,
  onLost: () => () => undefined,
});

/** A lock that Redis gave to this process. */
export class RedisGrant implements Grant, Asker {
  readonly owner = LEASE;
  /** More may be told of it: a grant may come by an answer and by a message. */
  isKnown = false;
  /** It is not held any more. */
  isReleased = false;
  /** When its lease has surely ended, if nothing more is heard. */
  heldUntil: Ms;
  /** What a renewal needs, at hand: the memory of many locks is slow. */
  readonly kind: LockKind;
  readonly fullKey: string;

  /** @param wantedMs the lease that was asked for, where a shorter one was granted */
  constructor(
    readonly req: AcquireRequest,
    readonly keys: LockKeys,
    readonly token: string,
    readonly server: string,
    readonly validFrom: Ms,
    readonly leaseMs: Ms,
    readonly wantedMs: Ms | undefined,
    now: Ms,
  ) {
    this.heldUntil = now + leaseMs;
    this.kind = req.kind;
    this.fullKey = keys.key;
  }

  get fence(): bigint {
    return fenceOf(this.token);
  }

  get salt(): string {
    return saltOf(this.token);
  }

  /** Asker */
  told(): void {
    // It is held.
  }

  /** It may have been renewed now. */
  extend(now: Ms, leaseMs: Ms): void {
    this.heldUntil = Math.max(this.heldUntil, now + leaseMs);
  }
}
