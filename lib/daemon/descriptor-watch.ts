import { close, open } from 'node:fs';
import { devNull } from 'node:os';
import type { Clock, Ms, Timer } from '../common/system.js';

const LOOK_MS: Ms = 1000;

/**
 * Looks once a second whether this process may open another file. Where it may not (EMFILE, ENFILE), libuv takes connections
 * from the queue and closes them, and tells nobody.
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
