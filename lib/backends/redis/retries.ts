import type { Alarm, Alarms } from '../../common/alarms.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import type { Retried } from './op.js';

const MIN_PAUSE_MS: Ms = 50;
const MAX_PAUSE_MS: Ms = 150;

/** Requests to be repeated, in the order in which they failed: after a pause, or as soon as there is a connection again. */
export class Retries implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  private readonly all = new Set<Retried>();

  constructor(
    private readonly clock: Clock,
    private readonly entropy: Entropy,
    private readonly alarms: Alarms,
    private readonly isUp: () => boolean,
  ) {}

  add(one: Retried): void {
    this.all.add(one);
    if (this.slot >= 0 || !this.isUp()) return;
    const pause = MIN_PAUSE_MS + (MAX_PAUSE_MS - MIN_PAUSE_MS) * this.entropy.unit();
    this.alarms.set(this, this.clock.now() + pause);
  }

  delete(one: Retried): void {
    this.all.delete(one);
  }

  /** Alarm. Without a connection, they wait for one. */
  ring(): void {
    if (this.isUp()) this.flush();
  }

  /** Repeats all of them now. */
  flush(): void {
    this.alarms.cancel(this);
    const all = [...this.all];
    this.all.clear();
    for (const one of all) one.retry();
  }
}
