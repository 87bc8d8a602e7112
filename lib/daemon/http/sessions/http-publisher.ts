import type { Ms } from '../../../common/system.js';
import type { EngineDriver, Woken } from '../../../core/driver.js';
import type { Session } from '../../../core/session.js';
import type { Answer as EngineAnswer, Command, OpId, SessionSink } from '../../../core/types.js';
import type { TurnShare } from '../../fairness/turn-share.js';
import { commandAnswer } from '../answers/command-answer.js';
import type { Exchange } from '../exchange/exchange.js';

/** Publishes signals over HTTP, which need no session: the engine knows all of them as one. */
export class HttpPublisher implements SessionSink, Woken {
  private session: Session | undefined;
  private op: OpId = 0;
  private readonly open = new Map<OpId, Exchange>();
  private answered: (readonly [Exchange, EngineAnswer])[] = [];

  constructor(
    private readonly driver: EngineDriver,
    private readonly share: TurnShare,
  ) {}

  /** The caller touches the driver. */
  publish(exchange: Exchange, command: Command, now: Ms): void {
    exchange.command = command;
    this.session ??= this.driver.engine.open(this, 'http');
    this.open.set(++this.op, exchange);
    this.driver.engine.exec(this.session, this.op, command, now);
    this.resume();
  }

  /** SessionSink */
  reply(op: OpId, answer: EngineAnswer): void {
    const exchange = this.open.get(op);
    if (!exchange) return;
    this.open.delete(op);
    if (this.answered.push([exchange, answer]) === 1) this.driver.wake(this);
  }

  /** SessionSink. It has no subscriptions. */
  push(): boolean {
    return false;
  }

  /** SessionSink */
  evict(): void {
    // Only listeners are evicted.
  }

  /** Woken */
  resume(): void {
    const { answered } = this;
    if (answered.length === 0) return;
    this.answered = [];
    this.share.each(answered, ([exchange, answer]) => exchange.answer(commandAnswer(exchange.command!, answer)));
  }

  close(now: Ms): void {
    if (this.session) this.driver.engine.close(this.session, now, true);
    this.session = undefined;
  }
}
