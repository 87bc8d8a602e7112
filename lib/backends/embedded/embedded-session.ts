import type { Clock } from '../../common/system.js';
import type { EngineDriver, Woken } from '../../core/driver.js';
import type { Session } from '../../core/session.js';
import type { Answer, Command, OpId, SessionSink } from '../../core/types.js';

/** Called with the answer when the engine has finished its work; may use the engine again. */
export type OnAnswer = (answer: Answer) => void;

interface Answered {
  readonly onAnswer: OnAnswer;
  readonly answer: Answer;
}

/** This process as one session of an engine. */
export class EmbeddedSession implements SessionSink, Woken {
  private readonly open = new Map<OpId, OnAnswer>();
  private readonly session: Session;
  private lastOp: OpId = 0;
  /** Whether the last operation is being executed. */
  private executing = false;
  /** The answer to that operation. */
  private direct: Answer | undefined;
  /** Answers to earlier operations, given while the engine executed another one. */
  private late: Answered[] = [];

  constructor(
    private readonly driver: EngineDriver,
    private readonly clock: Clock,
  ) {
    this.session = driver.engine.open(this, 'embedded');
  }

  /** Returns the operation, for `cancel`. Most operations are answered before this returns. */
  exec(command: Command, onAnswer: OnAnswer, now = this.clock.now()): OpId {
    const op = ++this.lastOp;
    this.executing = true;
    this.driver.engine.exec(this.session, op, command, now);
    this.executing = false;
    const { direct } = this;
    this.direct = undefined;
    if (!direct) this.open.set(op, onAnswer);
    // A caller that released gets its answer before the next holder gets the grant.
    if (direct) onAnswer(direct);
    this.driver.touch();
    return op;
  }

  /** Cancels a waiting operation, which is answered `cancelled`. Does nothing if it has been answered. */
  cancel(op: OpId): void {
    this.driver.engine.cancel(this.session, op, this.clock.now());
    this.driver.touch();
  }

  close(): void {
    this.driver.engine.close(this.session, this.clock.now(), true);
    this.driver.touch();
    const open = [...this.open.values()];
    this.open.clear();
    for (const onAnswer of open) onAnswer({ s: 'cancelled' });
  }

  /** SessionSink */
  reply(op: OpId, answer: Answer): void {
    if (op === this.lastOp && this.executing) {
      this.direct = answer;
      return;
    }
    const onAnswer = this.open.get(op);
    if (!onAnswer) return;
    this.open.delete(op);
    if (this.late.push({ onAnswer, answer }) === 1) this.driver.wake(this);
  }

  /** Woken */
  resume(): void {
    const { late } = this;
    this.late = [];
    for (const { onAnswer, answer } of late) onAnswer(answer);
  }

  /** SessionSink. This session has no subscriptions. */
  push(): boolean {
    return false;
  }

  /** SessionSink */
  evict(): void {
    // Only listeners are evicted.
  }
}
