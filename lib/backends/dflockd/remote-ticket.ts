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

interface Fetching {
  readonly is: 'fetching';
  stop: (() => void) | undefined;
}

interface Placed {
  readonly is: 'placed';
  readonly lane: Lane;
  exchanges: readonly Exchange[];
}

/** fetching: waiting for a lane. placed: `e` and `w` are sent. proving: granted, but the reply is too old. over. */
type Phase = Fetching | Placed | { readonly is: 'proving'; readonly lane: Lane } | { readonly is: 'over' };

const OVER: Phase = { is: 'over' };

/** The longest wait that every server accepts. */
const FOR_EVER_MS = 2_147_483_647_000;

/**
 * A place of its own in the server's queue, outside the key queue, taken at once. `e` and `w` leave in one write (spec
 * 4.5), so that the server can neither grant it unseen nor close the connection as idle.
 */
export class RemoteTicket implements Pending {
  private phase: Phase;
  private readonly resource: Resource;
  private readonly deadline = newAlarm(() => this.site.pool.clock.afterPoll(() => this.timeOut()));

  constructor(
    private readonly req: AcquireRequest,
    private readonly site: RemoteSite,
    private readonly waiter: Waiter,
  ) {
    const { kind, limit, deadline } = req;
    this.resource = { kind: wireKind(kind), limit, key: toBytes(req.key) };
    const { pool } = site;
    const fetching: Fetching = { is: 'fetching', stop: undefined };
    this.phase = fetching;
    pool.waits.set(this.deadline, deadline);
    try {
      fetching.stop = pool.wait('ticket', (outcome) => this.fetched(outcome));
      if (!fetching.stop) this.fail(exhausted(pool, req.key, pool.shortage));
    } catch (error) {
      this.fail(error);
    }
  }

  cancel(): void {
    const { phase } = this;
    if (phase.is === 'over') return;
    this.finish();
    if (phase.is === 'fetching') phase.stop?.();
    else if (phase.is === 'proving' || this.site.pool.config.autoRelease) this.hangUp(phase.lane);
    // The place stays in the queue, and a grant that still arrives is released (rule 10).
    else for (const exchange of phase.exchanges) phase.lane.forget(exchange);
  }

  private fetched(outcome: Lane | LockError): void {
    if (outcome instanceof LockError) return this.fail(outcome);
    const placed: Placed = { is: 'placed', lane: outcome, exchanges: [] };
    this.phase = placed;
    const { kind, key } = this.resource;
    const { leaseMs, deadline } = this.req;
    const left = Math.max(deadline - this.site.pool.clock.now(), 1);
    const waitMs = Math.min(left, FOR_EVER_MS);
    placed.exchanges = [
      outcome.send({ t: 'enqueue', ...this.resource, leaseMs }, (reply) => this.enqueued(placed, reply)),
      outcome.send({ t: 'wait', kind, key, waitMs }, (reply, sentAt) => this.answered(placed, reply, sentAt)),
    ];
  }

  private enqueued(placed: Placed, outcome: LockError | Reply): void {
    if (this.phase !== placed) return;
    if (outcome instanceof LockError) return this.abort(placed.lane, outcome);
    if (outcome.s === 'acquired' || outcome.s === 'queued') this.waiter.onPlaced(outcome.s);
    // The reply to the `w` behind it does not matter then.
    else this.refused(placed.lane, outcome, 'enqueue');
  }

  private answered(placed: Placed, outcome: LockError | Reply, validFrom: number): void {
    if (this.phase !== placed) return;
    const { lane } = placed;
    if (outcome instanceof LockError) this.abort(lane, outcome);
    else if (outcome.s === 'granted') {
      this.prove({ lane, token: outcome.token, leaseMs: outcome.leaseMs, validFrom });
    } else if (outcome.s === 'timeout') this.timeOut();
    else this.refused(lane, outcome, 'wait');
  }

  /** A bare `error` may announce the end of the connection (rule 7), and a new place would be a different one. */
  private refused(lane: Lane, reply: Reply, operation: string): void {
    const { server } = this.site.pool;
    const error = replyError(reply, operation, this.resource.key, server);
    if (reply.s === 'error') this.abort(lane, gone(server, 'the place is lost', error));
    else this.fail(error);
  }

  /** As in a key queue: a grant too old to rely on is renewed first (rule 2). */
  private prove(grant: LaneGrant): void {
    const { req, site, resource } = this;
    if (!isStale(grant, site.pool)) return this.succeed(grant);
    const { lane, token } = grant;
    const proving: Phase = { is: 'proving', lane };
    this.phase = proving;
    const { kind, key } = resource;
    const leaseMs = req.leaseMs;
    lane.adopt();
    lane.send({ t: 'renew', kind, key, token, leaseMs }, (outcome, validFrom) => {
      if (this.phase === proving) {
        if (!(outcome instanceof LockError) && outcome.s === 'renewed') {
          this.succeed({ lane, token, validFrom, leaseMs: outcome.leaseMs });
        } else this.abort(lane, gone(lane.server, 'the grant was lost before it was renewed'));
      }
      lane.disown();
    });
  }

  private timeOut(): void {
    if (this.phase.is === 'over') return;
    this.cancel();
    this.waiter.refused(new AcquireTimeoutError(this.req.key, { server: this.site.pool.server }));
  }

  /** Ends the lane, which also releases a grant that may still arrive. */
  private abort(lane: Lane, error: LockError): void {
    const { pool } = this.site;
    this.fail(pool.wasRefused(lane) ? exhausted(pool, this.req.key, `${pool.server}: ${CLOSED_AT_ONCE}`) : error);
    this.hangUp(lane);
  }

  private hangUp(lane: Lane): void {
    lane.end(gone(this.site.pool.server, 'given up'));
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
    this.phase = OVER;
    this.site.pool.waits.cancel(this.deadline);
  }
}
