import type { LaneGrant } from './queues/local-waiter.js';
import type { Done } from './lanes/exchange.js';
import type { LocalUse } from './queues/local-uses.js';
import type { Lane } from './lanes/lane.js';
import type { ServerPool } from './server-pool.js';
import { newAlarm } from '../../common/alarms.js';
import { LockError, LockLostError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { Kind } from '../../protocol/messages.js';
import { replyError } from '../../protocol/reply-error.js';
import type { AcquireRequest, Grant, Owner, Proof, Released } from '../backend.js';
import { wireKind } from './wire-kind.js';

/** A lock that a dflockd server granted to this process. */
export abstract class RemoteHold implements Grant, LocalUse {
  readonly token: string;
  readonly validFrom: Ms;
  readonly leaseMs: Ms;
  readonly wantedMs: Ms | undefined;
  /** The end of the lease, as far as is known. */
  protected until: Ms;
  protected readonly lane: Lane;
  /** The renewal to the wanted lease has not been sent yet. */
  private isFirst: boolean;

  constructor(
    readonly req: AcquireRequest,
    /** As a byte string. */
    protected readonly key: string,
    { token, validFrom, leaseMs, wantedMs, lane }: LaneGrant,
    readonly fence: bigint | undefined,
    protected readonly pool: ServerPool,
  ) {
    this.token = token;
    this.validFrom = validFrom;
    this.leaseMs = leaseMs;
    this.wantedMs = wantedMs;
    this.isFirst = wantedMs !== undefined;
    if (req.leaseMs === 0 && wantedMs === undefined) pool.defaultLeaseMs = leaseMs;
    this.until = validFrom + leaseMs;
    this.lane = lane;
    pool.localUses.set(this.kind, key, req.limit, this);
  }

  abstract get owner(): Owner;
  abstract get heldUntil(): Ms;
  /** @throws LockLostError (final); LockUnavailableError, ServerDrainingError */
  abstract renew(leaseMs: Ms): Promise<Proof>;
  abstract release(done: (outcome: Released) => void): void;
  /** Releases the lock without waiting for the outcome. */
  abstract abandon(): void;

  private get kind(): Kind {
    return wireKind(this.req.kind);
  }

  get server(): string {
    return this.pool.server;
  }

  /**
   * Keeps the lock for another `keepMs`, then releases it. The lease is set to that time, so that the lock ends soon
   * after even if the release is lost. Where the server releases the locks of closed connections, the connection stays
   * open until then.
   */
  async keep(keepMs: Ms): Promise<Released> {
    try {
      const { alarms, clock } = this.pool;
      const end = clock.now() + keepMs;
      await this.renew(keepMs);
      // The wire carries whole seconds, so the rest of the last one is given back by a release.
      alarms.set(
        newAlarm(() => this.abandonQuietly()),
        end,
      );
      return 'released';
    } catch (error) {
      this.abandon();
      if (error instanceof LockLostError) return 'gone';
      throw error;
    }
  }

  /**
   * Whether this renewal completes the grant. It is sent at once on the lane that brought the grant a moment ago: it
   * must be on its way before the holder begins, so there is no time for a drain probe.
   */
  protected takeFirst(): boolean {
    const isFirst = this.isFirst && this.lane.isUsable;
    this.isFirst = false;
    return isFirst;
  }

  protected sendRenew(lane: Lane, leaseMs: Ms, resolve: (proof: Proof) => void, reject: (error: Error) => void): void {
    const { req, token, key, server } = this;
    lane.send({ t: 'renew', kind: this.kind, key, token, leaseMs }, (outcome, validFrom) => {
      if (outcome instanceof LockError) reject(outcome);
      else if (outcome.s === 'renewed') {
        const proof = { validFrom, leaseMs: outcome.leaseMs };
        this.until = validFrom + proof.leaseMs;
        if (leaseMs === 0) this.pool.defaultLeaseMs = proof.leaseMs;
        resolve(proof);
      } else if (outcome.s === 'error') reject(new LockLostError(req.key, 'rejected', { server }));
      else reject(replyError(outcome, 'renew', key, server));
    });
  }

  protected sendRelease(lane: Lane, done: Done): void {
    const { token, key } = this;
    lane.send({ t: 'release', kind: this.kind, key, token }, done);
  }

  protected endLocalUse(): void {
    this.pool.localUses.delete(this.kind, this.key, this.req.limit, this);
  }

  private abandonQuietly(): void {
    this.release((outcome) => outcome instanceof Error && this.abandon());
  }
}
