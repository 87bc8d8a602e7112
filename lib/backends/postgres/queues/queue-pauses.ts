import type { Alarm } from '../../../common/alarms.js';
import { Backoff } from '../../../common/backoff.js';
import { type LockError, MaxLocksError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { QueueSite } from './queue-site.js';

const MIN_MS: Ms = 25;
const MAX_MS: Ms = 250;
const FLOOR = 0.5;

/** The pauses of a key queue between tries and after failures. They grow until something succeeds. */
export class QueuePauses {
  /** What failed last. */
  trouble: LockError | undefined;
  private resumeAt: Ms = -Infinity;
  private readonly backoff: Backoff;

  /** @param queue is alarmed when a pause is over */
  constructor(
    private readonly site: Pick<QueueSite, 'clock' | 'entropy' | 'alarms'>,
    private readonly queue: Alarm,
  ) {
    this.backoff = new Backoff(MIN_MS, MAX_MS, site.entropy, FLOOR);
  }

  /** Whether nothing new may be asked now. */
  get isPausing(): boolean {
    return this.site.clock.now() < this.resumeAt;
  }

  /** Begins a pause. */
  begin(): void {
    const { alarms, clock } = this.site;
    alarms.set(this.queue, clock.now() + Math.max(this.backoff.next(), 1));
  }

  /** Begins a pause in which nothing new may be asked. */
  fail(error: LockError): void {
    this.trouble = error;
    this.begin();
    this.resumeAt = this.queue.due;
  }

  /** The server has answered. @param isPolling the next pause is no shorter than the last */
  recover(isPolling: boolean): void {
    // A caller for whose place there is no room polls too.
    const isReset = !isPolling && !(this.trouble instanceof MaxLocksError);
    this.trouble = undefined;
    this.resumeAt = -Infinity;
    if (isReset) this.backoff.reset();
  }
}
