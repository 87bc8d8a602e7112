import { close, open } from 'node:fs';
import { devNull } from 'node:os';
import type { Clock, Ms, Timer } from '../../common/system.js';

const LOOK_MS: Ms = 1000;

/**
 * Checks once a second whether this process can open another file. While it cannot (EMFILE, ENFILE), libuv accepts
 * connections and closes them silently.
 */
export class DescriptorWatch {
  private timer: Timer | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly tell: (error: NodeJS.ErrnoException) => void,
  ) {}

  start(): void {
    this.timer = this.clock.setTimer(() => this.look(), LOOK_MS);
  }

  stop(): void {
    if (this.timer) this.clock.clearTimer(this.timer);
    this.timer = undefined;
  }

  private look(): void {
    open(devNull, 'r', (error, descriptor) => {
      if (!error) close(descriptor, () => {});
      if (!this.timer) return;
      if (error?.code === 'EMFILE' || error?.code === 'ENFILE') this.tell(error);
      this.start();
    });
  }
}
