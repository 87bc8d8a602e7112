import { type Clock, type Ms, systemClock, type Timer } from '../../common/system.js';

/**
 * Extends one lock after each half of its lease, until it is told to stop or finds the lock lost. An attempt that fails is made
 * again after the next half; no two run at once.
 */
export class Extension {
  private timer: Timer | undefined;
  private isRunning = false;
  private isStopped = false;

  /**
   * @param extend resolves with false if the lock is lost
   * @param ended called once, when it has stopped
   */
  constructor(
    private readonly ttl: Ms,
    private readonly extend: () => Promise<boolean>,
    private readonly ended: () => void,
    private readonly clock: Clock = systemClock,
  ) {
    this.arm();
  }

  stop(): void {
    if (this.isStopped) return;
    this.isStopped = true;
    if (this.timer) this.clock.clearTimer(this.timer);
    this.ended();
  }

  private arm(): void {
    this.timer = this.clock.setTimer(() => {
      this.arm();
      if (!this.isRunning) void this.run();
    }, this.ttl / 2);
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    try {
      if (!(await this.extend())) this.stop();
    } catch {
      // The lease may last until the next attempt.
    }
    this.isRunning = false;
  }
}
