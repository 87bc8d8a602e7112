import type { Alarm, Alarms } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import type { Looker } from './looks.js';

export interface RemainderHost {
  readonly clock: { now(): Ms };
  readonly alarms: Alarms;
  look(looker: Looker): void;
}

/** The time for which a lock that this process has got is kept yet. */
export class Remainder implements Looker, Alarm {
  due: Ms = Infinity;
  slot = -1;
  private isOver = false;

  /** @param done called once, unless it is stopped, when the id is not kept any more, or with why nobody knows */
  constructor(
    readonly id: AdvisoryId,
    private readonly host: RemainderHost,
    private readonly done: (error?: LockError) => void,
  ) {}

  start(): void {
    this.host.look(this);
  }

  stop(): void {
    this.isOver = true;
    this.host.alarms.cancel(this);
  }

  /** Alarm. Only the server knows what time it is there. */
  ring(): void {
    this.host.look(this);
  }

  /** Looker */
  looked(restMs: Ms): void {
    if (this.isOver) return;
    if (restMs > 0) return this.host.alarms.set(this, this.host.clock.now() + restMs);
    this.isOver = true;
    this.done();
  }

  /** Looker */
  lookFailed(error: LockError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.done(error);
  }
}
