import type { LaneGrant, Resource } from './queues/local-waiter.js';
import type { Exchange } from './lanes/exchange.js';
import { isStale } from './queues/handover.js';
import { exhausted } from './queues/pool-exhausted.js';
import { gone } from './lanes/lane-errors.js';
import { CLOSED_AT_ONCE } from './lanes/wait-lanes.js';
import type { Lane } from './lanes/lane.js';
import { newAlarm } from '../../common/alarms.js';
import { AcquireTimeoutError, LockError } from '../../common/errors.js';
import { toBytes } from '../../protocol/bytes.js';
import type { Reply } from '../../protocol/messages.js';
import { replyError } from '../../protocol/reply-error.js';
import type { AcquireRequest, Pending, Waiter } from '../backend.js';
import type { RemoteSite } from './remote-site.js';
import { wireKind } from './wire-kind.js';

/** fetching: its lane is on its way. placed: `e` and `w` are on theirs. proving: granted, but the answer is too old. over. */
type Phase = 'fetching' | 'placed' | 'proving' | 'over';

/** The longest wait that every server understands. */
const FOR_EVER_MS = 2_147_483_647_000;

/**
 * A place of its own in the server's queue, outside the key queue of its key, taken at once: `e` and `w` leave in one write
 * (spec 4.5), so that neither a silent grant nor an idle connection can come about.
 */
export class RemoteTicket implements Pending {
  private phase: Phase = 'fetching';
  private readonly resource: Resource;
  private readonly deadline = newAlarm(() => this.site.pool.clock.afterPoll(() => this.timeOut()));
  private stopFetching: (() => void) | undefined;
  private lane: Lane | undefined;
  private exchanges: readonly Exchange[] = [];

  constructor(
    private readonly req: AcquireRequest,
    private readonly site: RemoteSite,
    private readonly waiter: Waiter,
  ) {
    const { kind, limit, deadline } = req;
    this.resource = { kind: wireKind(kind), limit, key: toBytes(req.key) };
    const { pool } = site;
    pool.waits.set(this.deadline, deadline);
    try {
      this.stopFetching = pool.wait('ticket', (outcome) => this.fetched(outcome));
      if (!this.stopFetching) this.fail(exhausted(pool, req.key, pool.shortage));
    } catch (error) {
      this.fail(error);
    }
  }

  cancel(): void {
    const { phase } = this;
    if (phase === 'over') return;
    this.finish();
    if (phase === 'fetching') this.stopFetching?.();
    else if (phase === 'proving' || this.site.pool.config.autoRelease) this.hangUp();
    // The place stays; a grant that it still brings is released (rule 10).
    else for (const exchange of this.exchanges) this.lane!.forget(exchange);
  }

  private fetched(outcome: Lane | LockError): void {
    if (outcome instanceof LockError) return this.fail(outcome);
    this.lane = outcome;
    this.phase = 'placed';
    const { kind, key } = this.resource;
    const { leaseMs, deadline } = this.req;
    const left = Math.max(deadline - this.site.pool.clock.now(), 1);
    const waitMs = Math.min(left, FOR_EVER_MS);
    this.exchanges = [
      outcome.send({ t: 'enqueue', ...this.resource, leaseMs }, (reply) => this.enqueued(reply)),
      outcome.send({ t: 'wait', kind, key, waitMs }, (reply, sentAt) => this.answered(reply, sentAt)),
    ];
  }

  private enqueued(outcome: LockError | Reply): void {
    if (this.phase !== 'placed') return;
    if (outcome instanceof LockError) return this.abort(outcome);
    if (outcome.s === 'acquired' || outcome.s === 'queued') this.waiter.onPlaced(outcome.s);
    // Whatever the `w` behind it is answered is of no interest then.
    else this.refused(outcome, 'enqueue');
  }

  private answered(outcome: LockError | Reply, validFrom: number): void {
    if (this.phase !== 'placed') return;
    if (outcome instanceof LockError) this.abort(outcome);
    else if (outcome.s === 'granted') {
      this.prove({ lane: this.lane!, token: outcome.token, leaseMs: outcome.leaseMs, validFrom });
    } else if (outcome.s === 'timeout') this.timeOut();
    else this.refused(outcome, 'wait');
  }

  /** A bare error may announce the end (rule 7); another place would not be this one. */
  private refused(reply: Reply, operation: string): void {
    const { server } = this.site.pool;
    const error = replyError(reply, operation, this.resource.key, server);
    if (reply.s === 'error') this.abort(gone(server, 'the place is lost', error));
    else this.fail(error);
  }

  /** As in a key queue: what is too old to rely on is renewed first (rule 2). */
  private prove(grant: LaneGrant): void {
    const { req, site, resource } = this;
    if (!isStale(grant, site.pool)) return this.succeed(grant);
    this.phase = 'proving';
    const { lane, token } = grant;
    const { kind, key } = resource;
    const leaseMs = req.leaseMs;
    lane.adopt();
    lane.send({ t: 'renew', kind, key, token, leaseMs }, (outcome, validFrom) => {
      if (this.phase === 'proving') {
        if (!(outcome instanceof LockError) && outcome.s === 'renewed') {
          this.succeed({ lane, token, validFrom, leaseMs: outcome.leaseMs });
        } else this.abort(gone(lane.server, 'lost while it was granted'));
      }
      lane.disown();
    });
  }

  private timeOut(): void {
    if (this.phase === 'over') return;
    this.cancel();
    this.waiter.refused(new AcquireTimeoutError(this.req.key, { server: this.site.pool.server }));
  }

  /** The lane is of no more use, and its end frees a grant that may still come. */
  private abort(error: LockError): void {
    const { pool } = this.site;
    this.fail(pool.wasRefused(this.lane!) ? exhausted(pool, this.req.key, `${pool.server}: ${CLOSED_AT_ONCE}`) : error);
    this.hangUp();
  }

  private hangUp(): void {
    this.lane!.end(gone(this.site.pool.server, 'given up'));
  }

  private succeed(grant: LaneGrant): void {
    this.finish();
    this.waiter.granted(this.site.hold(this.req, this.resource.key, grant));
  }

  private fail(error: unknown): void {
    this.finish();
    this.waiter.refused(error);
  }

  private finish(): void {
    this.phase = 'over';
    this.site.pool.waits.cancel(this.deadline);
  }
}
