import { type Alarms, newAlarm } from '../../../common/alarms.js';
import { type LockError, ServerDrainingError } from '../../../common/errors.js';
import type { Clock, Ms } from '../../../common/system.js';
import type { Request } from '../../../protocol/messages.js';
import type { Done } from './exchange.js';

/** Called without an argument, or with the reason why the holder must not send. */
export type Speak = (error?: LockError) => void;

export interface ProbeContext {
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly requestTimeoutMs: Ms;
  /** Sends over the control lane. */
  ask(request: Request, done: Done): void;
}

/** Longest time for which a renewal or heartbeat is held back: a late renewal loses its lock as well. */
const MAX_PATIENCE_MS: Ms = 500;

/**
 * A server that shuts down replies `error_draining` to the next request on any connection and closes it, along with its
 * locks (spec 7). So the control lane asks before holders send; holders that come meanwhile share the probe (rule 9).
 */
export class DrainProbe {
  private waiting: Speak[] = [];
  private probe = 0;
  private readonly late = newAlarm(() => this.over(this.probe));

  constructor(private readonly context: ProbeContext) {}

  /** Calls back when it is known whether the server drains, or after the time limit. */
  beforeOwnerSpeaks(speak: Speak): void {
    this.waiting.push(speak);
    if (this.waiting.length > 1) return;
    const { clock, alarms, requestTimeoutMs } = this.context;
    const probe = ++this.probe;
    alarms.set(this.late, clock.now() + Math.min(requestTimeoutMs, MAX_PATIENCE_MS));
    this.context.ask({ t: 'ping' }, (outcome) =>
      this.over(probe, outcome instanceof ServerDrainingError ? outcome : undefined),
    );
  }

  private over(probe: number, error?: LockError): void {
    if (probe !== this.probe) return;
    this.probe++;
    this.context.alarms.cancel(this.late);
    const { waiting } = this;
    this.waiting = [];
    for (const speak of waiting) speak(error);
  }
}

/** For servers that keep the locks of closed connections: it does not matter which connection sends (rule 10). */
export const NO_PROBE: Pick<DrainProbe, 'beforeOwnerSpeaks'> = Object.freeze({
  beforeOwnerSpeaks: (speak: Speak) => speak(),
});
