import { type Alarms, newAlarm } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Clock, Ms } from '../../../common/system.js';
import type { Backoff } from '../../../common/backoff.js';
import type { DrainProbe } from './drain-probe.js';

/** One refusal may be the end of the server; a second one, on a connection opened later, is not. */
const REFUSALS = 2;
/** Refusals further apart than this are unrelated. */
const RELATED_MS: Ms = 5000;
/** A server without room for a connection closes it within this time. */
export const REFUSED_WITHIN_MS: Ms = 1000;

export interface ShortageContext {
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly backoff: Backoff;
  /** Checks first whether the server shuts down. */
  readonly drainProbe: Pick<DrainProbe, 'beforeOwnerSpeaks'>;
  /** Whether the server is reachable on the shared connections. */
  isLinked(): boolean;
  /** A connection may be available again. */
  spare(): void;
  /** The shortage has begun. */
  degraded(detail: string): void;
}

/**
 * Tracks whether a reachable server accepts no more connections. While it does not, waiters poll as if all wait lanes
 * were in use, and a probe connection is opened from time to time.
 */
export class Shortage {
  /** The description of the shortage; undefined: none is known. */
  detail: string | undefined;
  private refusals = 0;
  private lastRefusal: Ms = -Infinity;
  private isProbing = false;
  private readonly look = newAlarm(() => this.context.spare());
  private readonly lasting = newAlarm(() => this.over());

  constructor(private readonly context: ShortageContext) {}

  /** Whether a connection may be opened now. During a shortage it is a probe. */
  mayOpen(): boolean {
    if (this.detail === undefined) return true;
    if (this.isProbing || this.look.slot >= 0) return false;
    this.isProbing = true;
    return true;
  }

  /** A connection opened at `openedAt` was refused. */
  refused(openedAt: Ms, error: LockError): void {
    // Part of the same wave as the last refusal.
    if (openedAt < this.lastRefusal) return;
    const { clock, drainProbe } = this.context;
    const now = clock.now();
    if (now - this.lastRefusal > RELATED_MS) this.refusals = 0;
    this.lastRefusal = now;
    if (this.detail !== undefined) return this.wait();
    if (++this.refusals < REFUSALS) return;
    drainProbe.beforeOwnerSpeaks((isDraining) => {
      if (!isDraining && this.detail === undefined && this.refusals >= REFUSALS) this.begin(error);
    });
  }

  /** The probe is connected: unless it is refused soon, the shortage is over. */
  opened(): void {
    const { alarms, clock } = this.context;
    if (this.isProbing) alarms.set(this.lasting, clock.now() + REFUSED_WITHIN_MS);
  }

  /** A connection opened at `openedAt` has been answered. One from before the last refusal proves nothing. */
  answered(openedAt: Ms): void {
    if (openedAt >= this.lastRefusal) this.over();
  }

  /** The connection opened at `openedAt` is not needed any more and proved nothing. */
  unused(openedAt: Ms): void {
    if (this.isProbing && openedAt >= this.lastRefusal) this.wait();
  }

  /** The shortage is over, or the server has come or gone and nothing is known. */
  over(): void {
    const { alarms, backoff } = this.context;
    const wasShort = this.detail !== undefined;
    this.detail = undefined;
    this.refusals = 0;
    this.isProbing = false;
    backoff.reset();
    alarms.cancel(this.look);
    alarms.cancel(this.lasting);
    if (wasShort) this.context.spare();
  }

  /** Stops probing. */
  close(): void {
    const { alarms } = this.context;
    this.refusals = -Infinity;
    alarms.cancel(this.look);
    alarms.cancel(this.lasting);
  }

  private begin(error: LockError): void {
    if (!this.context.isLinked()) return;
    this.detail = `no more connections (${error.message})`;
    this.wait();
    this.context.degraded(`${this.detail}: waiters poll over the existing ones`);
  }

  private wait(): void {
    const { alarms, clock, backoff } = this.context;
    this.isProbing = false;
    alarms.cancel(this.lasting);
    alarms.set(this.look, clock.now() + Math.max(backoff.next(), 1));
  }
}
