import type { Grant, LockBackend, Proof, RenewalRequest } from '../../backends/backend.js';
import type { Deferred } from '../../common/deferred.js';
import { ServerDrainingError } from '../../common/errors.js';
import { rejected } from '../../common/rejected.js';
import type { Ms } from '../../common/system.js';

/** The lease that is renewed. */
export interface Renewed<H> {
  readonly grant: Grant;
  /** Whether it has ended, and need not be renewed any more. */
  readonly ended: boolean;
  readonly isDraining: boolean;
  /** @param told of it; default: its holder */
  renewed(proof: Proof, told: H | undefined): void;
  failed(error: Error): void;
}

/** A renewal of a lease, from the request to the first answer. */
export class LeaseRenewal<H = unknown> implements RenewalRequest {
  private isAnswered = false;

  /** @param told of it; default: the holder @param asked settled with the outcome */
  constructor(
    private readonly lease: Renewed<H>,
    readonly leaseMs: Ms,
    private readonly told?: H,
    private readonly asked?: Deferred<void>,
  ) {}

  get grant(): Grant {
    return this.lease.grant;
  }

  /** Returns whether it is still to be sent (rule 6, 9). If not, it is over. */
  confirm(): boolean {
    const { lease } = this;
    if (!lease.ended && !lease.isDraining) return true;
    this.failed(new ServerDrainingError({ server: lease.grant.server }));
    return false;
  }

  /** Asks for this one alone. An error that the backend throws takes effect no earlier than a reply would. */
  send(backend: Pick<LockBackend, 'renew'>): void {
    let proof: Promise<Proof>;
    try {
      proof = Promise.resolve(backend.renew(this.grant, this.leaseMs));
    } catch (error) {
      proof = rejected(error);
    }
    void proof.then(
      (proof) => this.renewed(proof),
      (error: unknown) => this.failed(error),
    );
  }

  /** RenewalRequest */
  renewed(proof: Proof): void {
    if (this.isAnswered) return;
    this.isAnswered = true;
    try {
      this.lease.renewed(proof, this.told);
      this.asked?.resolve();
    } catch (error) {
      this.fail(error);
    }
  }

  /** RenewalRequest */
  failed(error: unknown): void {
    if (this.isAnswered) return;
    this.isAnswered = true;
    this.fail(error);
  }

  private fail(error: unknown): void {
    this.lease.failed(error as Error);
    this.asked?.reject(error);
  }
}
