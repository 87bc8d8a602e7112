import type { Grant } from '../../backends/backend.js';
import type { Ms } from '../../common/system.js';
import type { GrantReceiver } from './acquire-attempts.js';
import type { Hold } from '../handle/hold.js';
import type { Lease } from '../lease/lease.js';
import type { CheckedAcquire } from './checked-acquire.js';

/** Who makes a lock of a grant. */
export interface GrantHandler {
  kept(request: CheckedAcquire, grant: Grant): readonly Lease[];
  /** @throws ShuttingDownError, UnsupportedError, having given the leases back */
  hold(request: CheckedAcquire, leases: readonly Lease[], since: Ms, now?: Ms): Hold;
  refused(error: unknown, request: CheckedAcquire): unknown;
  noteQueued(request: CheckedAcquire): void;
}

/** One caller who is promised a lock. An object instead of closures: there is one for each lock that is taken. */
export class PendingLock implements GrantReceiver {
  private isQueued = false;

  constructor(
    private readonly handler: GrantHandler,
    private readonly request: CheckedAcquire,
    private readonly since: Ms,
    private readonly resolve: (hold: Hold) => void,
    private readonly reject: (reason: unknown) => void,
  ) {}

  get autoRenew(): boolean {
    return this.request.autoRenew;
  }

  granted(grant: Grant, now: Ms): void {
    const { handler, request } = this;
    try {
      this.resolve(handler.hold(request, handler.kept(request, grant), this.since, now));
    } catch (error) {
      this.reject(error);
    }
  }

  failed(error: unknown): void {
    this.reject(this.handler.refused(error, this.request));
  }

  /** That the caller waits is told once. */
  queued(): void {
    if (!this.isQueued) this.handler.noteQueued(this.request);
    this.isQueued = true;
  }
}
