import { newAlarm } from '../../../common/alarms.js';
import { AuthError, type LockError, LockUnavailableError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import { Lane } from './lane.js';
import type { LaneContext } from './lane-context.js';
import { gone } from './lane-errors.js';
import { REFUSED_WITHIN_MS, type Shortage } from './shortage.js';

/** An idle lane is kept for the next waiting caller for this time, which is well below the server's read timeout. */
const KEEP_MS: Ms = 2000;
const KEEP_PER_READ_TIMEOUT = 0.25;
/** The fraction of all lanes reserved for the first place of further keys. */
const RESERVE = 0.25;

/** What a full server does (spec 4.7). */
export const CLOSED_AT_ONCE =
  'the server closes new connections at once, as dflockd does when --max-connections or --max-connections-per-ip is reached';

export type Taken = (outcome: Lane | LockError) => void;

/** `head`: the first place of a key. `extra`: a further one. `ticket`: a place owned by one caller. */
export type WhyWait = 'head' | 'extra' | 'ticket';

/** The exclusive lanes to a server: opened on demand up to a limit, reused while they are fresh. */
export class WaitLanes {
  private readonly all = new Set<Lane>();
  /** The freshest lane is last. */
  private free: { readonly lane: Lane; readonly since: Ms }[] = [];
  private readonly openers = new Map<Lane, Taken>();
  /** Opening times of lanes that have not been free yet. */
  private readonly openedAt = new Map<Lane, Ms>();
  private readonly reserve: number;
  private readonly sweep = newAlarm(() => this.closeStale());
  private closed: LockError | undefined;

  /**
   * @param max may be Infinity
   * @param shortage of connections that the server accepts
   * @param spare called when a lane may be available again
   */
  constructor(
    private readonly context: LaneContext,
    private readonly max: number,
    private readonly shortage: Shortage,
    private readonly spare: () => void,
  ) {
    this.reserve = max === Infinity ? 0 : Math.ceil(max * RESERVE);
  }

  private get keepMs(): Ms {
    return Math.min(KEEP_MS, this.context.readTimeoutMs * KEEP_PER_READ_TIMEOUT);
  }

  /** Lanes of any state. */
  get lanes(): ReadonlySet<Lane> {
    return this.all;
  }

  get freeCount(): number {
    return this.free.length;
  }

  /**
   * Passes a connected lane for one blocking request; the callback may come at once with a lane, but never with an
   * error. Returns a function that cancels, effective until the callback is called, or undefined if no lane is
   * available.
   * @throws ConfigError for TLS options that Node refuses; ShuttingDownError
   */
  take(why: WhyWait, callback: Taken): (() => void) | undefined {
    if (this.closed) throw this.closed;
    if (why === 'extra' && this.max - (this.all.size - this.free.length) <= this.reserve) return undefined;
    const fresh = this.free.pop();
    if (fresh) {
      callback(fresh.lane);
      return () => undefined;
    }
    return this.all.size < this.max && this.shortage.mayOpen() ? this.open(callback) : undefined;
  }

  /** Whether a reachable server closed this lane because it has no room for it. */
  wasRefused(lane: Lane): boolean {
    if (!lane.wasCut || lane.lastAckedSend > -Infinity) return false;
    return this.context.clock.now() - lane.lastSend <= REFUSED_WITHIN_MS;
  }

  /** Opens no new lanes; the existing ones end after their last replies. */
  retire(error: LockError): void {
    this.closed ??= error;
    this.context.alarms.cancel(this.sweep);
    for (const lane of [...this.all]) lane.retire(error);
  }

  drain(): void {
    for (const lane of [...this.all]) lane.drain();
  }

  destroy(error: LockError): void {
    this.closed ??= error;
    this.context.alarms.cancel(this.sweep);
    for (const lane of [...this.all]) lane.end(error);
  }

  private open(callback: Taken): () => void {
    const lane = new Lane('wait', this.context, {
      connected: (connected) => {
        this.shortage.opened();
        this.hand(connected, connected);
      },
      freed: (idle) => this.put(idle),
      ended: (ended, error) => this.forget(ended, error),
    });
    this.all.add(lane);
    this.openers.set(lane, callback);
    this.openedAt.set(lane, this.context.clock.now());
    return () => {
      if (this.openers.delete(lane)) lane.end(new LockUnavailableError('given up', { server: lane.server }));
    };
  }

  private hand(lane: Lane, outcome: Lane | LockError): void {
    const callback = this.openers.get(lane);
    this.openers.delete(lane);
    callback?.(outcome);
  }

  private put(lane: Lane): void {
    if (this.closed) return;
    // Lanes may report this more than once.
    if (this.free.at(-1)?.lane === lane) return;
    this.unlist(lane);
    const openedAt = this.openedAt.get(lane);
    this.openedAt.delete(lane);
    if (openedAt !== undefined) this.shortage.answered(openedAt);
    const now = this.context.clock.now();
    this.free.push({ lane, since: now });
    if (this.sweep.slot < 0) this.context.alarms.set(this.sweep, now + this.keepMs);
    this.spare();
  }

  private closeStale(): void {
    const { clock, alarms } = this.context;
    const limit = clock.now() - this.keepMs;
    const stale = this.free.filter(({ since }) => since <= limit);
    this.free = this.free.slice(stale.length);
    if (this.free.length > 0) alarms.set(this.sweep, this.free[0]!.since + this.keepMs);
    for (const { lane } of stale) {
      lane.retire(new LockUnavailableError('not needed any more', { server: lane.server }));
    }
  }

  private unlist(lane: Lane): void {
    if (this.free.some((entry) => entry.lane === lane)) this.free = this.free.filter((entry) => entry.lane !== lane);
  }

  private forget(lane: Lane, error: LockError): void {
    this.all.delete(lane);
    this.unlist(lane);
    if (!this.closed) this.note(lane, error);
    this.hand(lane, error);
    if (!this.closed) this.spare();
  }

  /** What the end of a new lane says about a shortage. */
  private note(lane: Lane, error: LockError): void {
    const openedAt = this.openedAt.get(lane);
    this.openedAt.delete(lane);
    if (openedAt === undefined) return;
    if (lane.wasCut && (this.openers.has(lane) || error instanceof AuthError)) this.shortage.refused(openedAt, error);
    else if (this.wasRefused(lane)) this.shortage.refused(openedAt, gone(lane.server, CLOSED_AT_ONCE));
    else if (lane.lastAckedSend > -Infinity) this.shortage.answered(openedAt);
    else this.shortage.unused(openedAt);
  }
}
