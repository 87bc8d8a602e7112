import type { Grant, LockBackend, Owner } from '../../backends/backend.js';
import { failureOf, isProof } from '../../backends/guarded-backend.js';
import { Alarms } from '../../common/alarms.js';
import { ServerDrainingError } from '../../common/errors.js';
import { LinkedList } from '../../common/linked-list.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import { ClockWatch } from './clock-watch.js';
import { Lease, type LeaseBackend, type LeaseHost, type Renewals } from './lease.js';
import { type Bunch, stopListening } from './owners.js';
import { RenewalQueue } from './renewal-queue.js';
import { renewalDelay } from './renewal-times.js';

/** Keeps all leases of a client, with one timer, which does not keep the process alive. */
export class LeaseKeeper<B extends LeaseBackend = LockBackend> implements LeaseHost {
  readonly alarms: Alarms;
  readonly watch: ClockWatch;
  readonly renewals: RenewalQueue;
  private readonly bunches = new Map<Owner, Bunch<Lease>>();

  /** @param renewRatio part of a lease after which it is renewed */
  constructor(
    readonly backend: B,
    readonly clock: Clock,
    readonly entropy: Entropy,
    private readonly renewRatio: number,
  ) {
    this.alarms = new Alarms(clock);
    this.renewals = new RenewalQueue(clock);
    // Whatever happened while the machine slept or its clock was set: ask (rule 13).
    this.watch = new ClockWatch(clock, () => this.hurry());
    backend.onSuspect?.((grant) => this.hurry(grant));
  }

  /** How long after a lease began it is renewed. */
  renewAfter(leaseMs: Ms): Ms {
    return renewalDelay(leaseMs, this.renewRatio);
  }

  /**
   * Of a grant that is to have a longer lease, the renewal is sent before this returns.
   * @param askMs what to ask for at renewals; 0: as long as it was granted for
   */
  keep(grant: Grant, askMs: Ms, renewals: Renewals): Lease {
    const { wantedMs } = grant;
    const bunch = this.bunchFor(grant);
    const lease = new Lease(this, grant, wantedMs ?? (askMs || grant.leaseMs), renewals);
    lease.bunch = bunch;
    bunch.leases.push(lease);
    if (wantedMs !== undefined) lease.complete();
    return lease;
  }

  /** By the lease itself, when it has ended. */
  forget(lease: Lease): void {
    this.alarms.cancel(lease);
    const { bunch } = lease;
    if (!bunch) return;
    lease.bunch = undefined;
    bunch.leases.remove(lease);
    if (bunch.leases.size > 0) return;
    this.bunches.delete(lease.grant.owner);
    stopListening(bunch.unsubscribe);
  }

  /** The lease of this grant wants proof, or all of them do. */
  hurry(grant?: Grant): void {
    if (grant) [...(this.bunches.get(grant.owner)?.leases ?? [])].find((lease) => lease.grant === grant)?.hurry();
    else for (const lease of this.all()) lease.hurry();
  }

  /** What this server granted lasts as long as it lasts (rule 9). */
  drain(server: string): void {
    const error = new ServerDrainingError({ server });
    for (const lease of this.all()) if (lease.grant.server === server) lease.drain(error);
  }

  /** Forgets all alarms. */
  close(): void {
    this.alarms.clear();
  }

  /** A copy: who is told may end. */
  private all(): Lease[] {
    return [...this.bunches.values()].flatMap(({ leases }) => [...leases]);
  }

  /** @throws BackendError for a grant that does not say how long, or whose owner fails, having given it up */
  private bunchFor(grant: Grant): Bunch<Lease> {
    try {
      if (!isProof(grant)) throw new TypeError('validFrom and leaseMs must be numbers');
      return this.bunchOf(grant.owner);
    } catch (error) {
      this.backend.abandon(grant);
      throw failureOf(grant.server, 'a grant', error);
    }
  }

  private bunchOf(owner: Owner): Bunch<Lease> {
    let bunch = this.bunches.get(owner);
    if (!bunch) {
      const leases = new LinkedList<Lease>();
      // All that hang on it are lost in that very turn (rule 1).
      const unsubscribe = owner.onLost((reason, error) => {
        for (const lease of [...leases]) lease.lose(reason, error);
      });
      bunch = { leases, unsubscribe };
      this.bunches.set(owner, bunch);
    }
    return bunch;
  }
}
