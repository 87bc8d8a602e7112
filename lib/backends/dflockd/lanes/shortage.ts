import { type Alarms, newAlarm } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Clock, Ms } from '../../../common/system.js';
import type { Backoff } from './backoff.js';
import type { DrainProbe } from './drain-probe.js';

/** One refusal may be the end of the server; a second one, of a connection that was opened after it, is not. */
const REFUSALS = 2;
/** Refusals that lie further apart have nothing to do with each other. */
const RELATED_MS: Ms = 5000;
/** A server that has no room for a connection closes it within this time. */
export const REFUSED_WITHIN_MS: Ms = 1000;

export interface ShortageContext {
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly backoff: Backoff;
  /** Finds out first whether the server shuts down. */
  readonly drainProbe: Pick<DrainProbe, 'beforeOwnerSpeaks'>;
  /** Whether the server is there at all, on the shared connections. */
  isLinked(): boolean;
  /** A connection may be had again. */
  spare(): void;
  /** It begins. */
  degraded(detail: string): void;
}

/**
 * Whether a server that is there gives no more connections. Then those who wait go on as if all wait lanes were in use, and
 * one connection is tried now and then.
 */
export class Shortage {
  /** What is the matter; undefined: nothing, as far as is known. */
  detail: string | undefined;
  private refusals = 0;
  private lastRefusal: Ms = -Infinity;
  private isProbing = false;
  private readonly look = newAlarm(() => this.context.spare());
  private readonly lasting = newAlarm(() => this.over());

  constructor(private readonly context: ShortageContext) {}

  /** Whether a connection may be opened now; while they are short, one that is opened is a probe. */
  mayOpen(): boolean {
    if (this.detail === undefined) return true;
    if (this.isProbing || this.look.slot >= 0) return false;
    this.isProbing = true;
    return true;
  }

  /** A connection that was opened at `openedAt` got nothing. */
  refused(openedAt: Ms, error: LockError): void {
    // Of the same wave as the last one.
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

  /** One of those has been opened: unless it is refused yet, there is room again. */
  opened(): void {
    const { alarms, clock } = this.context;
    if (this.isProbing) alarms.set(this.lasting, clock.now() + REFUSED_WITHIN_MS);
  }

  /** A connection that was opened at `openedAt` has been answered. Those from before the last refusal prove nothing. */
  answered(openedAt: Ms): void {
    if (openedAt >= this.lastRefusal) this.over();
  }

  /** Nobody wants the connection any more that was opened at `openedAt`, and nothing is known of it. */
  unused(openedAt: Ms): void {
    if (this.isProbing && openedAt >= this.lastRefusal) this.wait();
  }

  /** There is room; or the server has come or gone, and nothing is known. */
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

  /** Nothing is opened any more. */
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
