import type { AcquireRequest, Grant, Owner, Proof } from '../backends/backend.js';
import type { LossReason } from '../common/errors.js';
import type { Ms } from '../common/system.js';

type OnLost = (reason: LossReason, error?: Error) => void;

/** A lock that the engine gave, on an owner of its own, so that it can be lost alone. */
export class TestGrant implements Grant {
  readonly owner: Owner;
  /** When its lease is over, as the engine sees it. */
  until: Ms;
  private readonly listeners = new Set<OnLost>();
  private loss: LossReason | undefined;

  constructor(readonly inner: Grant) {
    this.until = inner.validFrom + inner.leaseMs;
    this.owner = {
      id: inner.token,
      provenUntil: () => Infinity,
      onLost: (callback) => this.onLost(callback),
    };
  }

  get req(): AcquireRequest {
    return this.inner.req;
  }

  get token(): string {
    return this.inner.token;
  }

  get fence(): bigint | undefined {
    return this.inner.fence;
  }

  get server(): string {
    return this.inner.server;
  }

  get validFrom(): Ms {
    return this.inner.validFrom;
  }

  get leaseMs(): Ms {
    return this.inner.leaseMs;
  }

  renewed({ validFrom, leaseMs }: Proof): void {
    this.until = validFrom + leaseMs;
  }

  /** Tells the holder, also one who is about to get it. */
  lose(reason: LossReason): void {
    this.loss = reason;
    for (const listener of [...this.listeners]) listener(reason);
  }

  private onLost(callback: OnLost): () => void {
    const { loss } = this;
    if (loss) void Promise.resolve().then(() => callback(loss));
    this.listeners.add(callback);
    return () => void this.listeners.delete(callback);
  }
}
