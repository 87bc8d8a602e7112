import type { Grant } from '../../backends/backend.js';
import type { Ms } from '../../common/system.js';
import type { GrantReceiver } from './acquire-attempts.js';
import type { Hold } from '../handle/hold.js';
import type { Lease } from '../lease/lease.js';
import type { CheckedAcquire } from './checked-acquire.js';

/** Makes locks of grants. */
export interface GrantHandler {
  kept(request: CheckedAcquire, grant: Grant): readonly Lease[];
  /** @throws ShuttingDownError, UnsupportedError, having released the leases */
  hold(request: CheckedAcquire, leases: readonly Lease[], since: Ms, now?: Ms): Hold;
  refused(error: unknown, request: CheckedAcquire): unknown;
  noteQueued(request: CheckedAcquire): void;
}

/** One caller that waits for its lock. An object rather than closures, because every acquired lock needs one. */
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

  /** Reports once that the caller waits. */
  queued(): void {
    if (!this.isQueued) this.handler.noteQueued(this.request);
    this.isQueued = true;
  }
}
