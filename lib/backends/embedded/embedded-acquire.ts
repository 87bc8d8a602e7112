import type { Alarm, Alarms } from '../../common/alarms.js';
import { AcquireTimeoutError, ProtocolError, ShuttingDownError } from '../../common/errors.js';
import type { Clock, Ms } from '../../common/system.js';
import { type Answer, NO_FENCE, type OpId } from '../../core/types.js';
import { toBytes } from '../../protocol/bytes.js';
import { replyError } from '../../protocol/reply-error.js';
import type { AcquireRequest, Pending, Waiter } from '../backend.js';
import type { EmbeddedSession } from './embedded-session.js';
import { EMBEDDED, EmbeddedGrant } from './embedded-grant.js';
import { engineKind } from './engine-kind.js';

/** Longer than the engine takes to notice that a wait is over. */
const LATE_MS = 1000;

/** asking: the engine may answer at once. queued: it has not. over. */
type AcquireState = 'asking' | 'queued' | 'over';

/**
 * One acquire on the engine in this process; it waits in the engine's queue. Its alarm only keeps the process alive
 * while a caller waits, which the engine's own timer does not. Its state is assigned in place, because there is one for each
 * lock; the table is in its spec.
 */
export class EmbeddedAcquire implements Pending, Alarm {
  due: Ms = Infinity;
  slot = -1;
  private readonly key: string;
  private readonly since: Ms;
  private readonly op: OpId;
  private state: AcquireState = 'asking';

  constructor(
    private readonly req: AcquireRequest,
    private readonly session: EmbeddedSession,
    private readonly clock: Clock,
    private readonly waits: Alarms,
    private readonly waiter: Waiter,
  ) {
    const { limit, leaseMs, deadline } = req;
    const kind = engineKind(req.kind);
    const key = toBytes(req.key);
    const now = clock.now();
    this.key = key;
    this.since = now;
    const waitMs = Math.max(deadline - now, 0);
    this.op = session.exec({ t: 'acquire', kind, key, limit, waitMs, leaseMs }, (answer) => this.answered(answer), now);
    if (this.isOver) return;
    this.state = 'queued';
    waits.set(this, deadline + LATE_MS);
    waiter.onPlaced('queued');
  }

  /** Alarm */
  ring(): void {
    // The engine has its own alarm and answers at the deadline.
  }

  cancel(): void {
    if (this.isOver) return;
    this.state = 'over';
    this.waits.cancel(this);
    this.session.cancel(this.op);
  }

  private get isOver(): boolean {
    return this.state === 'over';
  }

  private answered(answer: Answer): void {
    const { req, key, session, waiter } = this;
    if (this.isOver) {
      if (answer.s === 'granted')
        session.exec({ t: 'release', kind: engineKind(req.kind), key, token: answer.token }, () => undefined);
      return;
    }
    const wasQueued = this.state === 'queued';
    this.state = 'over';
    if (wasQueued) this.waits.cancel(this);
    if (answer.s !== 'granted') return waiter.refused(acquireError(answer, req));
    // A queued request is granted later than it was made, and its lease starts with the grant.
    const validFrom = wasQueued ? this.clock.now() : this.since;
    waiter.granted(new EmbeddedGrant(req, key, answer.token, validFrom, answer.leaseMs));
  }
}

/** Maps an answer that is not a grant to its error. */
export function acquireError(answer: Answer, { key }: AcquireRequest): Error {
  const details = { key, server: EMBEDDED };
  if (answer.s === 'timeout') return new AcquireTimeoutError(key, details);
  if (answer.s === 'cancelled') return new ShuttingDownError(details);
  if (answer === NO_FENCE) return new ProtocolError('acquire: the fence state file cannot be written', details);
  return replyError(answer, 'acquire', toBytes(key), EMBEDDED);
}
