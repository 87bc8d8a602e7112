import type { Grant, LockBackend, Owner } from '../../backends/backend.js';
import { failureOf, isProof } from '../../backends/guarded-backend.js';
import { Alarms } from '../../common/alarms.js';
import { ServerDrainingError } from '../../common/errors.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import { ClockWatch } from './clock-watch.js';
import { LeaseAlarms } from './lease-alarms.js';
import { Lease } from './lease.js';
import type { HostOf, LeaseBackend, Renewals } from './lease-host.js';
import { type Bunch, bunchOf, stopListening } from './lost-owners.js';
import { RenewalQueue } from './renewal-queue.js';
import { renewalDelay } from './renewal-times.js';

/** Keeps all leases of a client with one timer, which does not keep the process alive. */
export class LeaseKeeper<B extends LeaseBackend = LockBackend> implements HostOf<Lease> {
  readonly alarms: Alarms;
  readonly watch: ClockWatch;
  readonly renewals: RenewalQueue;
  readonly times: LeaseAlarms;
  private readonly bunches = new Map<Owner, Bunch<Lease>>();

  /** @param renewRatio fraction of a lease after which it is renewed */
  constructor(
    readonly backend: B,
    readonly clock: Clock,
    readonly entropy: Entropy,
    private readonly renewRatio: number,
  ) {
    this.alarms = new Alarms(clock);
    this.renewals = new RenewalQueue(clock, backend);
    this.times = new LeaseAlarms(this.alarms);
    // Renew everything: anything may have happened while the machine was suspended or its clock was set (rule 13).
    this.watch = new ClockWatch(clock, () => this.hurry());
    backend.onSuspect?.((grant) => this.hurry(grant));
  }

  /** How long after its start a lease is renewed. */
  renewAfter(leaseMs: Ms): Ms {
    return renewalDelay(leaseMs, this.renewRatio);
  }

  /**
   * If the grant is to get a longer lease, its renewal is sent before this returns.
   * @param askMs the lease to request at renewals; 0: the lease that was granted
   */
  keep(grant: Grant, askMs: Ms, renewals: Renewals): Lease {
    const { wantedMs } = grant;
    const bunch = this.bunchFor(grant);
    const lease = new Lease(this, grant, wantedMs ?? (askMs || grant.leaseMs), renewals);
    lease.bunch = bunch;
    bunch.leases.push(lease);
    if (wantedMs === undefined) lease.begin();
    else lease.complete();
    return lease;
  }

  /** Called by the lease itself when it has ended. */
  forget(lease: Lease): void {
    this.times.cancel(lease);
    const { bunch } = lease;
    if (!bunch) return;
    lease.bunch = undefined;
    bunch.leases.remove(lease);
    if (bunch.leases.size > 0) return;
    this.bunches.delete(lease.grant.owner);
    stopListening(bunch.unsubscribe);
  }

  /** Renews the lease of this grant now, or all leases. */
  hurry(grant?: Grant): void {
    if (grant) [...(this.bunches.get(grant.owner)?.leases ?? [])].find((lease) => lease.grant === grant)?.hurry();
    else for (const lease of this.all()) lease.hurry();
  }

  /** Stops renewals on this server: its locks last until their leases or connections end (rule 9). */
  drain(server: string): void {
    const error = new ServerDrainingError({ server });
    for (const lease of this.all()) if (lease.grant.server === server) lease.drain(error);
  }

  /** Clears all alarms. */
  close(): void {
    this.alarms.clear();
  }

  /** A copy, since a callback may end a lease. */
  private all(): Lease[] {
    return [...this.bunches.values()].flatMap(({ leases }) => [...leases]);
  }

  /** @throws BackendError for a grant without valid times or whose owner throws, having given it up */
  private bunchFor(grant: Grant): Bunch<Lease> {
    try {
      if (!isProof(grant)) throw new TypeError('validFrom and leaseMs must be numbers');
      return bunchOf(this.bunches, grant.owner);
    } catch (error) {
      this.backend.abandon(grant);
      throw failureOf(grant.server, 'a grant', error);
    }
  }
}
