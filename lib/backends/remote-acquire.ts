import type { Exchange } from '../client/exchange.js';
import type { Lane } from '../client/lane.js';
import type { ServerPool } from '../client/server-pool.js';
import { newAlarm } from '../common/alarms.js';
import { AcquireTimeoutError, LockError, LockUnavailableError } from '../common/errors.js';
import { toBytes } from '../protocol/bytes.js';
import { MAX_SECONDS } from '../protocol/limits.js';
import type { Reply } from '../protocol/messages.js';
import type { AcquireRequest, Grant, Pending } from './backend.js';
import { Deferred } from './deferred.js';
import type { LocalWaiters } from './local-waiters.js';
import { refusal } from './refusal.js';
import { RemoteGrant } from './remote-grant.js';

/**
 * linking: no command lane yet. trying: one try on a command lane. fetching: a wait lane is on its way. blocked: in the
 * server's queue. proving: granted, but the answer is too old to rely on. over.
 */
type Phase =
  | { in: 'linking' | 'fetching'; cancel: () => void }
  | { in: 'trying'; lane: Lane; exchange: Exchange }
  | { in: 'blocked'; lane: Lane }
  | { in: 'proving'; grant: RemoteGrant }
  | { in: 'over' };

/** A grant of which less than this part is left when its answer arrives is renewed before it is handed over. */
const SURE_PART = 0.5;

/** One acquire: a try on a command lane; if the lock is busy and waiting is wanted, a wait on a lane of its own. */
export class RemoteAcquire implements Pending {
  private readonly outcome = new Deferred<Grant | null>();
  private placing: Deferred<'acquired' | 'queued'> | undefined;
  private place: 'acquired' | 'queued' | undefined;
  private error: Error | undefined;
  private phase: Phase = { in: 'over' };
  private readonly key: string;
  private readonly deadline = newAlarm(() => this.pool.clock.afterPoll(() => this.onDeadline()));
  private waiting = false;

  /** @param mode `try`: resolves with null instead of waiting */
  constructor(
    private readonly req: AcquireRequest,
    private readonly mode: 'try' | 'line',
    private readonly pool: ServerPool,
    private readonly waiters: LocalWaiters,
    private readonly readTimeoutMs: number,
    requestTimeoutMs: number,
  ) {
    this.key = toBytes(req.key);
    const { clock, waits } = pool;
    // A try whose lane gives up before the deadline needs no alarm of its own.
    if (mode === 'line' && req.deadline < clock.now() + requestTimeoutMs) waits.set(this.deadline, req.deadline);
    if (!waiters.has(req)) this.try();
    else if (mode === 'line') this.wait();
    else this.outcome.resolve(null);
  }

  /** Of a `line`. */
  get grant(): Promise<Grant> {
    return this.outcome.promise as Promise<Grant>;
  }

  /** Of a `try`. */
  get result(): Promise<Grant | null> {
    return this.outcome.promise;
  }

  get placed(): Promise<'acquired' | 'queued'> {
    if (!this.placing) {
      this.placing = new Deferred<'acquired' | 'queued'>().quiet();
      if (this.place) this.placing.resolve(this.place);
      else if (this.error) this.placing.reject(this.error);
    }
    return this.placing.promise;
  }

  cancel(reason: Error): void {
    const { phase } = this;
    if (phase.in === 'over') return;
    // First of all over: what follows may call back.
    this.fail(reason);
    switch (phase.in) {
      case 'linking':
      case 'fetching':
        phase.cancel();
        break;
      case 'trying':
        phase.lane.forget(phase.exchange);
        break;
      case 'blocked':
        // The only way to leave the server's queue (spec 1.7).
        phase.lane.end(new LockUnavailableError('given up', { server: this.pool.server }));
        break;
      case 'proving':
        phase.grant.abandon();
        break;
    }
  }

  private try(): void {
    const lane = this.pool.command();
    if (lane) return this.tryOn(lane);
    const deadline = this.mode === 'line' ? this.req.deadline : Infinity;
    this.await(
      'linking',
      (callback) => this.pool.whenCommand(deadline, callback),
      (up) => this.tryOn(up),
    );
  }

  private tryOn(lane: Lane): void {
    const { kind, limit, leaseMs } = this.req;
    const exchange = lane.send({ t: 'acquire', kind, key: this.key, limit, waitMs: 0, leaseMs }, (outcome, sentAt) => {
      if (outcome instanceof LockError) this.fail(outcome);
      else if (outcome.s === 'granted') this.succeed(this.granted(outcome, sentAt, lane));
      else if (outcome.s === 'timeout' || (outcome.s === 'max_waiters' && this.mode === 'try')) this.busy();
      else this.fail(this.refused(outcome));
    });
    // A lane that has ended meanwhile has answered already.
    if (exchange.done && !lane.isEnded) this.phase = { in: 'trying', lane, exchange };
  }

  private busy(): void {
    if (this.mode === 'line') return this.wait();
    this.phase = { in: 'over' };
    this.outcome.resolve(null);
  }

  private wait(): void {
    this.waiting = true;
    this.waiters.enter(this.req);
    this.pool.waits.set(this.deadline, this.req.deadline);
    this.await(
      'fetching',
      (callback) => this.pool.wait(callback),
      (lane) => this.waitOn(lane),
    );
  }

  private waitOn(lane: Lane): void {
    const { kind, limit, leaseMs, deadline } = this.req;
    const left = Math.max(deadline - this.pool.clock.now(), 1);
    const waitMs = Math.min(left, MAX_SECONDS * 1000);
    this.phase = { in: 'blocked', lane };
    lane.send({ t: 'acquire', kind, key: this.key, limit, waitMs, leaseMs }, (outcome, sentAt) => {
      if (this.phase.in !== 'blocked') return;
      if (outcome instanceof LockError) this.abort(lane, outcome);
      else if (outcome.s === 'granted') this.prove(this.granted(outcome, sentAt, lane));
      else if (outcome.s === 'timeout') this.fail(new AcquireTimeoutError(this.req.key, { server: this.pool.server }));
      // Ambiguous: the server may be closing (spec 12).
      else if (outcome.s === 'error') this.abort(lane, this.refused(outcome));
      else this.fail(this.refused(outcome));
    });
    this.placeIs('queued');
  }

  /** The lane is of no more use, and its end frees a grant that may still come. */
  private abort(lane: Lane, error: LockError): void {
    this.fail(error);
    lane.end(new LockUnavailableError('given up', { server: this.pool.server }));
  }

  /** After a long wait the send time of the request says little about the lease: a renewal does. */
  private prove(grant: RemoteGrant): void {
    const { leaseMs, validFrom, owner } = grant;
    const sureMs = Math.min(validFrom + leaseMs, owner.provenUntil()) - this.pool.clock.now();
    if (sureMs >= SURE_PART * Math.min(leaseMs, this.readTimeoutMs)) return this.succeed(grant);
    this.phase = { in: 'proving', grant };
    this.pool.waits.cancel(this.deadline);
    grant.renew(this.req.leaseMs || leaseMs).then(
      (proof) => {
        if (this.phase.in === 'proving') this.succeed(grant.proven(proof));
      },
      (error: LockError) => {
        if (this.phase.in !== 'proving') return;
        grant.abandon();
        const { server } = this.pool;
        this.fail(new LockUnavailableError(`${server}: lost while it was granted`, { server, cause: error }));
      },
    );
  }

  /** In `phase` until the lane or an error comes, which may be at once. */
  private await(
    phase: 'linking' | 'fetching',
    ask: (callback: (outcome: Lane | LockError) => void) => () => void,
    then: (lane: Lane) => void,
  ): void {
    const waiting: Phase = { in: phase, cancel: () => undefined };
    this.phase = waiting;
    waiting.cancel = ask((outcome) => {
      if (this.phase !== waiting) return;
      if (outcome instanceof LockError) this.fail(outcome);
      else then(outcome);
    });
  }

  private granted(reply: Extract<Reply, { s: 'granted' }>, sentAt: number, lane: Lane): RemoteGrant {
    return new RemoteGrant(this.req, this.key, reply.token, sentAt, reply.leaseMs, lane, this.pool);
  }

  private onDeadline(): void {
    const { key } = this.req;
    const { server } = this.pool;
    // Who waits, or is about to, knows that the lock is busy; before that nothing is known.
    if (this.waiting) this.cancel(new AcquireTimeoutError(key, { server }));
    else this.cancel(new LockUnavailableError(`${server}: no answer in time`, { key, server }));
  }

  private placeIs(place: 'acquired' | 'queued'): void {
    this.place ??= place;
    this.placing?.resolve(place);
  }

  private succeed(grant: Grant): void {
    this.finish();
    this.placeIs('acquired');
    this.outcome.resolve(grant);
  }

  private fail(error: Error): void {
    this.finish();
    this.error = error;
    this.placing?.reject(error);
    this.outcome.reject(error);
  }

  private finish(): void {
    this.phase = { in: 'over' };
    this.pool.waits.cancel(this.deadline);
    if (this.waiting) this.waiters.leave(this.req);
    this.waiting = false;
  }

  private refused(reply: Reply): LockError {
    return refusal(reply, 'acquire', { key: this.req.key, server: this.pool.server });
  }
}
