import type { AcquireRequest, Grant, Owner, Proof } from '../backends/backend.js';
import type { LossReason } from '../common/errors.js';
import type { Ms } from '../common/system.js';

type OnLost = (reason: LossReason, error?: Error) => void;

/** A lock granted by the engine, with its own owner, so that it can be lost separately. */
export class TestGrant implements Grant {
  readonly owner: Owner;
  /** When its lease ends, as the engine sees it. */
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

  /** Tells the holder, even one that is about to receive the grant. */
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
