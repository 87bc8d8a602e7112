import type { Alarm } from '../../common/alarms.js';
import { AcquireTimeoutError, type LockError, LockUnavailableError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { AcquireRequest, Grant, Pending, Waiter } from '../backend.js';
import type { PostgresSite } from './postgres-site.js';
import type { KeyQueue } from './queues/key-queue.js';
import type { Tenure } from './queues/tenure.js';
import type { QueueWaiter } from './queues/waiter.js';

/** Receives the outcome of an acquire. `busy`: somebody has the lock, and the caller does not wait. */
export interface AcquireCaller extends Waiter {
  busy?(): void;
}

/** One caller: in the queue of its key from the start to its answer. */
export class PostgresAcquire implements Pending, Alarm, QueueWaiter {
  due: Ms = Infinity;
  slot = -1;
  prev: QueueWaiter | undefined = undefined;
  next: QueueWaiter | undefined = undefined;
  arrival = 0;
  readonly isTry: boolean;
  since: Ms | undefined = undefined;
  private isOver = false;
  /** Undefined while the server computes the id of the key. */
  private queue: KeyQueue | undefined = undefined;

  /** @param leaseMs as it is granted */
  constructor(
    private readonly site: PostgresSite,
    private readonly req: AcquireRequest,
    private readonly leaseMs: Ms,
    private readonly caller: AcquireCaller,
    now: Ms,
  ) {
    this.isTry = caller.busy !== undefined || req.deadline <= now;
    // Otherwise there is an answer before, or none: both are told. A session that is yet to be connected takes its own time.
    const isLater = req.deadline >= now + site.config.requestTimeoutMs && site.commands.session !== undefined;
    if (!this.isTry && !isLater) site.waits.set(this, req.deadline);
  }

  get key(): string {
    return this.req.key;
  }

  get deadline(): Ms {
    return this.req.deadline;
  }

  start(queue: KeyQueue): void {
    if (this.isOver) return;
    this.queue = queue;
    queue.join(this);
  }

  /** It was to be started, and its queue may still be unknown. */
  resolving(): void {
    if (this.queue) return;
    this.since = this.site.clock.now();
    if (!this.isTry) this.waits();
  }

  /** Pending */
  cancel(): void {
    if (this.isOver) return;
    this.finish();
    this.queue?.leave(this);
  }

  /** Alarm: the deadline. What has arrived may lie in the socket: after a stall, timers run before input (rule 4). */
  ring(): void {
    this.site.clock.afterPoll(() => {
      if (this.isOver) return;
      const { key, site } = this;
      const error =
        this.queue?.deadlineError(key) ?? new LockUnavailableError('no answer in time', { key, server: site.server });
      this.cancel();
      this.caller.refused(error);
    });
  }

  /** QueueWaiter */
  waits(): void {
    if (!this.isOver && this.slot < 0) this.site.waits.set(this, this.deadline);
  }

  /** QueueWaiter */
  queued(): void {
    if (!this.isOver) this.caller.onPlaced('queued');
  }

  /** QueueWaiter */
  busy(): void {
    if (this.isOver) return;
    this.finish();
    if (this.caller.busy) this.caller.busy();
    else this.caller.refused(new AcquireTimeoutError(this.key, { server: this.site.server }));
  }

  /** QueueWaiter */
  granted(tenure: Tenure): void {
    this.finish();
    this.caller.granted(this.site.grant(this.req, tenure, this.leaseMs));
  }

  /** QueueWaiter */
  failed(error: LockError): void {
    if (this.isOver) return;
    this.finish();
    this.caller.refused(error);
  }

  private finish(): void {
    this.isOver = true;
    if (this.slot >= 0) this.site.waits.cancel(this);
  }
}

/** A caller of `tryAcquire`. */
export class TryCaller implements AcquireCaller {
  constructor(
    private readonly resolve: (grant: Grant | null) => void,
    private readonly reject: (error: unknown) => void,
  ) {}

  onPlaced(): void {
    // It does not wait.
  }

  busy(): void {
    this.resolve(null);
  }

  granted(grant: Grant): void {
    this.resolve(grant);
  }

  refused(error: unknown): void {
    this.reject(error);
  }
}
