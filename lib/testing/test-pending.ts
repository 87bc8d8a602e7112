import type { AcquireRequest, Grant, Pending, Placement, Waiter } from '../backends/backend.js';
import type { Clock, Timer } from '../common/system.js';

interface Surroundings {
  readonly clock: Clock;
  /** Takes a place in the engine's queue. */
  place(waiter: Waiter): Pending;
  onPlaced(place: Placement): void;
  granted(grant: Grant): void;
  refused(error: unknown): void;
  unreachable(): Error;
  /** The wait has been answered or cancelled. */
  over(): void;
}

/** A wait that survives a cut: it loses its place and takes a new one afterwards. */
export class TestPending implements Pending {
  private inner: Pending | undefined;
  private timer: Timer | undefined;
  private isOver = false;
  private isCut = false;

  constructor(
    readonly req: AcquireRequest,
    private readonly around: Surroundings,
  ) {
    const { clock } = around;
    if (req.deadline === Infinity) return;
    // Although the engine answers at that time as well: this timer keeps the process alive until then.
    this.timer = clock.setTimer(() => this.timeOut(), Math.max(req.deadline - clock.now(), 0), true);
  }

  resume(): void {
    if (this.isOver) return;
    this.isCut = false;
    const inner = this.around.place({
      onPlaced: (place) => this.around.onPlaced(place),
      granted: (grant) => {
        this.finish();
        this.around.granted(grant);
      },
      refused: (error) => this.refuse(error),
    });
    // It may have been answered before enqueue returned.
    if (!this.isOver) this.inner = inner;
  }

  suspend(): void {
    this.inner?.cancel();
    this.inner = undefined;
    this.isCut = true;
  }

  cancel(): void {
    if (this.isOver) return;
    this.inner?.cancel();
    this.finish();
  }

  private timeOut(): void {
    this.timer = undefined;
    if (this.isCut) this.refuse(this.around.unreachable());
  }

  private refuse(error: unknown): void {
    this.finish();
    this.around.refused(error);
  }

  private finish(): void {
    this.isOver = true;
    if (this.timer) this.around.clock.clearTimer(this.timer);
    this.timer = undefined;
    this.around.over();
  }
}
