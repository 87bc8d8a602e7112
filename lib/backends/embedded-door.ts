import type { Clock } from '../common/system.js';
import type { EngineDriver } from '../core/driver.js';
import type { Session } from '../core/session.js';
import type { Answer, Command, OpId, SessionSink } from '../core/types.js';

/** Gets the answer in the middle of the engine's work: only notes it. */
export type OnAnswer = (answer: Answer) => void;

/** This process as one session of an engine. */
export class EmbeddedDoor implements SessionSink {
  private readonly open = new Map<OpId, OnAnswer>();
  private readonly session: Session;
  private lastOp: OpId = 0;
  /** Of the operation that is being executed, until it is answered. */
  private asked: OnAnswer | undefined;

  constructor(
    private readonly driver: EngineDriver,
    private readonly clock: Clock,
  ) {
    this.session = driver.engine.open(this, 'embedded');
  }

  /** Returns the operation, for cancel(). */
  exec(command: Command, onAnswer: OnAnswer, now = this.clock.now()): OpId {
    const op = ++this.lastOp;
    this.asked = onAnswer;
    this.driver.engine.exec(this.session, op, command, now);
    // Most are answered at once.
    if (this.asked === onAnswer) this.open.set(op, onAnswer);
    this.asked = undefined;
    this.driver.touch();
    return op;
  }

  /** A waiting operation is answered `cancelled`; one that has been answered stays so. */
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
    if (op === this.lastOp && this.asked) {
      const { asked } = this;
      this.asked = undefined;
      return asked(answer);
    }
    const onAnswer = this.open.get(op);
    this.open.delete(op);
    onAnswer?.(answer);
  }

  /** SessionSink. This session listens to nothing. */
  push(): boolean {
    return false;
  }

  /** SessionSink */
  evict(): void {
    // Only listeners are evicted.
  }
}
