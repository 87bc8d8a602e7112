import { type Alarms, newAlarm } from '../common/alarms.js';
import { AcquireTimeoutError, ShuttingDownError } from '../common/errors.js';
import type { Clock } from '../common/system.js';
import type { Answer, OpId } from '../core/types.js';
import { toBytes } from '../protocol/bytes.js';
import type { AcquireRequest, Grant, Pending } from './backend.js';
import { Deferred } from './deferred.js';
import { Placing } from './placing.js';
import type { EmbeddedDoor } from './embedded-door.js';
import { EMBEDDED, EmbeddedGrant } from './embedded-grant.js';
import { refusal } from './refusal.js';

/** Longer than the engine takes to notice that a wait is over. */
const LATE_MS = 1000;

/** One acquire from the engine in this process; it waits in the engine's queue. */
export class EmbeddedAcquire implements Pending {
  private readonly outcome = new Deferred<Grant>();
  private readonly placing = new Placing();
  private readonly op: OpId;
  private isOver = false;
  /** The engine's own timer does not keep the process alive; somebody who waits does. */
  private readonly wake = newAlarm(() => undefined);

  constructor(
    req: AcquireRequest,
    private readonly door: EmbeddedDoor,
    clock: Clock,
    private readonly waits: Alarms,
  ) {
    const key = toBytes(req.key);
    const now = clock.now();
    const { kind, limit, leaseMs, deadline } = req;
    const waitMs = Math.max(deadline - now, 0);
    let inCall = true;
    this.op = door.exec(
      { t: 'acquire', kind, key, limit, waitMs, leaseMs },
      (answer) => {
        if (answer.s === 'granted') {
          // A queued request is granted later than it was made; the lease runs from the grant on.
          const grant = new EmbeddedGrant(req, key, answer.token, inCall ? now : clock.now(), answer.leaseMs);
          if (this.isOver)
            queueMicrotask(() => door.exec({ t: 'release', kind, key, token: answer.token }, () => undefined));
          else this.succeed(grant);
        } else this.fail(errorOf(answer, req));
      },
      now,
    );
    inCall = false;
    if (this.isOver) return;
    waits.set(this.wake, deadline + LATE_MS);
    this.placing.is('queued');
  }

  get grant(): Promise<Grant> {
    return this.outcome.promise;
  }

  get placed(): Promise<'acquired' | 'queued'> {
    return this.placing.promise;
  }

  cancel(reason: unknown): void {
    if (this.isOver) return;
    this.fail(reason);
    this.door.cancel(this.op);
  }

  private succeed(grant: Grant): void {
    this.finish();
    this.placing.is('acquired');
    this.outcome.resolve(grant);
  }

  private fail(error: unknown): void {
    if (this.isOver) return;
    this.finish();
    this.placing.failed(error);
    this.outcome.reject(error);
  }

  private finish(): void {
    this.isOver = true;
    this.waits.cancel(this.wake);
  }
}

function errorOf(answer: Answer, { key }: AcquireRequest): Error {
  const details = { key, server: EMBEDDED };
  if (answer.s === 'timeout') return new AcquireTimeoutError(key, details);
  if (answer.s === 'cancelled') return new ShuttingDownError(details);
  return refusal(answer, 'acquire', toBytes(key), EMBEDDED);
}
