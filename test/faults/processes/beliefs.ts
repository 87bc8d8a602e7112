import { STALL_NS, type Span } from '../log/evidence.js';
import { nanos } from '../log/time.js';

/** A lock in the hands of a program. */
export interface Held {
  /** Where the package has fences. */
  readonly fence?: bigint;
  /** What the package says at this moment. */
  believes(): boolean;
  /** Where the package tells of a loss by itself. */
  onLost(told: () => void): void;
}

/** A program with a client of its own. */
export interface Holder {
  hold(key: string): Promise<Held>;
  /** When it was connected last, nanoseconds; of this package alone. */
  connectedAt?(): number | undefined;
  close(): Promise<void>;
}

/** What a holder knew, in nanoseconds. */
export interface Belief {
  readonly key: string;
  /** Decimal digits; '' where the package has none. */
  readonly fence: string;
  /** When it read last that it holds the lock. */
  readonly affirmedAt: number;
  /** When it was told, or read, that its lock is lost; undefined: it still believes. */
  readonly toldAt?: number | undefined;
  /** When its client was connected last. */
  readonly connectedAt?: number | undefined;
  /** What it read first after the process had stood still; undefined: it has not. */
  readonly firstRead?: boolean | undefined;
}

/** What a process knew, and when it did not run. */
export interface Account {
  readonly beliefs: readonly Belief[];
  readonly stalls: readonly Span[];
}

const LOOK_EVERY_MS = 2;
/** So long nothing of this process ran because it was stopped. */
const GAP_NS = 1000e6;
/** Renewals of locks that were taken at once would come at once. */
const APART_MS = 10;

interface Holding {
  readonly holder: Holder;
  readonly key: string;
  readonly held: Held;
  affirmedAt: number;
  toldAt: number | undefined;
  firstRead: boolean | undefined;
}

/** One lock of each holder, and a close watch of what the holders are told. */
export class Beliefs {
  private readonly holdings: Holding[] = [];
  private readonly stalls: Span[] = [];
  private lookedAt = nanos();

  /** @param prefix locks are called `prefix0`, `prefix1`, … */
  constructor(
    private readonly holders: readonly Holder[],
    private readonly prefix: string,
  ) {
    setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  /** Takes the locks. */
  async hold(): Promise<void> {
    const taken = this.holders.map(async (holder, index) => {
      await new Promise((resolve) => setTimeout(resolve, index * APART_MS));
      const key = `${this.prefix}${index}`;
      const held = await holder.hold(key);
      const holding: Holding = { holder, key, held, affirmedAt: nanos(), toldAt: undefined, firstRead: undefined };
      held.onLost(() => (holding.toldAt ??= nanos()));
      this.holdings.push(holding);
    });
    await Promise.all(taken);
  }

  account(): Account {
    return {
      beliefs: this.holdings.map(({ held, holder, ...belief }) => ({
        ...{ ...belief, fence: `${held.fence ?? ''}`, connectedAt: holder.connectedAt?.() },
      })),
      stalls: this.stalls,
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.holders.map((holder) => holder.close()));
  }

  private look(): void {
    const now = nanos();
    const stoodStill = now - this.lookedAt > GAP_NS;
    if (now - this.lookedAt > STALL_NS) this.stalls.push({ from: this.lookedAt, to: now });
    this.lookedAt = now;
    for (const holding of this.holdings) {
      const at = nanos();
      const believes = holding.held.believes();
      if (stoodStill) holding.firstRead ??= believes;
      if (believes && holding.toldAt === undefined) holding.affirmedAt = at;
      if (!believes) holding.toldAt ??= nanos();
    }
  }
}

/** Stands still for so long. */
export const block = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
