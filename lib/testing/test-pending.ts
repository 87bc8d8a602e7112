import type { AcquireRequest, Grant, Pending, Place, Waiter } from '../backends/backend.js';
import type { Clock, Timer } from '../common/system.js';

interface Surroundings {
  readonly clock: Clock;
  /** Takes a place in the engine's queue. */
  place(waiter: Waiter): Pending;
  onPlace(place: Place): void;
  granted(grant: Grant): void;
  refused(error: unknown): void;
  unreachable(): Error;
  /** The last word has been said, or nobody wants to hear it. */
  over(): void;
}

/** A wait that survives a cut: it loses its place, and takes a new one afterwards. */
export class TestPending implements Pending {
  private inner: Pending | undefined;
  private timer: Timer | undefined;
  private isOver = false;

  constructor(
    readonly req: AcquireRequest,
    private readonly around: Surroundings,
  ) {}

  resume(): void {
    if (this.isOver) return;
    this.stopTimer();
    const inner = this.around.place({
      onPlace: (place) => this.around.onPlace(place),
      granted: (grant) => {
        this.finish();
        this.around.granted(grant);
      },
      refused: (error) => this.refuse(error),
    });
    // It may have been answered before it was returned.
    if (!this.isOver) this.inner = inner;
  }

  suspend(): void {
    this.inner?.cancel();
    this.inner = undefined;
    const { clock } = this.around;
    if (this.req.deadline === Infinity) return;
    const left = Math.max(this.req.deadline - clock.now(), 0);
    this.timer = clock.setTimer(() => this.refuse(this.around.unreachable()), left, true);
  }

  cancel(): void {
    if (this.isOver) return;
    this.inner?.cancel();
    this.finish();
  }

  private refuse(error: unknown): void {
    this.finish();
    this.around.refused(error);
  }

  private finish(): void {
    this.isOver = true;
    this.stopTimer();
    this.around.over();
  }

  private stopTimer(): void {
    if (this.timer) this.around.clock.clearTimer(this.timer);
    this.timer = undefined;
  }
}
