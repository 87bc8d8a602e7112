import { newAlarm } from '../common/alarms.js';
import { LockError, LockUnavailableError, PoolExhaustedError } from '../common/errors.js';
import type { Ms } from '../common/system.js';
import { Lane } from './lane.js';
import type { LaneContext } from './lane-context.js';

/** A lane nobody needs is kept for the next one who waits, well below the server's read timeout. */
const KEEP_MS: Ms = 2000;
const KEEP_PER_READ_TIMEOUT = 0.25;

export type Taken = (outcome: Lane | LockError) => void;

/** The exclusive lanes of a server: opened on demand up to a cap, used again while they are fresh. */
export class WaitLanes {
  private readonly all = new Set<Lane>();
  /** Free ones and when they became so; the freshest is last. */
  private readonly free = new Map<Lane, Ms>();
  private readonly openers = new Map<Lane, Taken>();
  private readonly keepMs: Ms;
  private readonly sweep = newAlarm(() => this.closeStale());
  private closed: LockError | undefined;

  constructor(
    private readonly context: LaneContext,
    private readonly max: number,
  ) {
    this.keepMs = Math.min(KEEP_MS, context.readTimeoutMs * KEEP_PER_READ_TIMEOUT);
  }

  /** Lanes of any state. */
  get size(): number {
    return this.all.size;
  }

  get freeCount(): number {
    return this.free.size;
  }

  /**
   * A connected lane for one blocking request; the callback may come at once. Returns the cancellation, which has an
   * effect until the callback was called.
   */
  take(callback: Taken): () => void {
    if (this.closed) {
      callback(this.closed);
      return () => undefined;
    }
    const fresh = this.freshest();
    if (fresh) {
      callback(fresh);
      return () => undefined;
    }
    if (this.all.size >= this.max) {
      const { label } = this.context.target.endpoint;
      callback(new PoolExhaustedError(`all ${this.max} wait lanes to ${label} are in use`, { server: label }));
      return () => undefined;
    }
    return this.open(callback);
  }

  /** No new lanes; those there are end when their last answers have come. */
  retire(error: LockError): void {
    this.closed ??= error;
    this.context.alarms.cancel(this.sweep);
    for (const lane of [...this.all]) lane.retire(error);
  }

  destroy(error: LockError): void {
    this.closed ??= error;
    this.context.alarms.cancel(this.sweep);
    for (const lane of [...this.all]) lane.end(error);
  }

  private open(callback: Taken): () => void {
    let lane: Lane;
    try {
      lane = new Lane('wait', this.context, {
        connected: (connected) => this.hand(connected, connected),
        freed: (idle) => this.put(idle),
        ended: (ended, error) => this.forget(ended, error),
      });
    } catch (error) {
      callback(error as LockError);
      return () => undefined;
    }
    this.all.add(lane);
    this.openers.set(lane, callback);
    return () => {
      if (this.openers.delete(lane)) lane.end(new LockUnavailableError('given up', { server: lane.server }));
    };
  }

  private hand(lane: Lane, outcome: Lane | LockError): void {
    const callback = this.openers.get(lane);
    this.openers.delete(lane);
    callback?.(outcome);
  }

  private freshest(): Lane | undefined {
    let last: Lane | undefined;
    for (const lane of this.free.keys()) last = lane;
    if (last) this.free.delete(last);
    return last;
  }

  private put(lane: Lane): void {
    // Freed again without having been taken: it has spoken meanwhile.
    this.free.delete(lane);
    const now = this.context.clock.now();
    this.free.set(lane, now);
    if (this.sweep.slot < 0) this.context.alarms.set(this.sweep, now + this.keepMs);
  }

  private closeStale(): void {
    const now = this.context.clock.now();
    for (const [lane, since] of this.free) {
      if (now - since < this.keepMs) {
        this.context.alarms.set(this.sweep, since + this.keepMs);
        return;
      }
      this.free.delete(lane);
      lane.retire(new LockUnavailableError('not needed any more', { server: lane.server }));
    }
  }

  private forget(lane: Lane, error: LockError): void {
    this.all.delete(lane);
    this.free.delete(lane);
    this.hand(lane, error);
  }
}
