import type { Alarm } from '../../../common/alarms.js';
import type { Ms } from '../../../common/system.js';
import type { Woken } from '../../../core/driver.js';
import type { Session } from '../../../core/session.js';
import type { Answer as EngineAnswer, Command, OpId, SessionSink } from '../../../core/types.js';
import type { SharedWork } from '../../fairness/turn-share.js';
import { ERRORS } from '../answers/answer.js';
import { commandAnswer } from '../answers/command-answer.js';
import type { Awaited, Exchange } from '../exchange/exchange.js';
import type { HttpSessionHost } from './session-host.js';

/** Requests of a session that may wait for their turn. */
const MOST_WAITING = 1000;
/** The operation whose answer nobody needs. */
const UNHEARD: OpId = -1;

/**
 * A session over HTTP: one virtual connection of the engine, which executes one command at a time. It dies if it
 * executes none for the read timeout.
 */
export class HttpSession implements SessionSink, Woken, Alarm, Awaited, SharedWork {
  due: Ms = Infinity;
  slot = -1;
  /** When a request last named it. */
  lastSeen: Ms;
  private readonly session: Session;
  /** When it last executed a command, or was pinged. */
  private lastCommand: Ms;
  private op: OpId = 0;
  private isExecuting = false;
  private current: Exchange | undefined;
  /** The answer to the command of `current`. */
  private answer: EngineAnswer | undefined;
  private readonly waiting: Exchange[] = [];

  /** @param died told when the read timeout ends the session */
  constructor(
    readonly id: string,
    readonly peer: string,
    private readonly host: HttpSessionHost,
    private readonly died: (session: HttpSession) => void,
  ) {
    const { driver, alarms, readTimeoutMs } = host;
    this.lastSeen = this.lastCommand = driver.clock.now();
    this.session = driver.engine.open(this, peer);
    alarms.set(this, this.lastSeen + readTimeoutMs);
  }

  get isDead(): boolean {
    return this.session.closed;
  }

  /** Whether a request is being executed or waits for its turn. */
  get isBusy(): boolean {
    return this.current !== undefined || this.waiting.length > 0;
  }

  /** Whether the engine has freed everything that the session had; it frees the rest of very much in later turns. */
  get isCleared(): boolean {
    const { holds, tickets, closed } = this.session;
    return closed && tickets.size === 0 && (!this.host.autoRelease || holds.size === 0);
  }

  /** A ping restarts the read timeout, which does not run while a command is executed. */
  ping(now: Ms): void {
    if (!this.current) this.lastCommand = now;
  }

  /** Executes the command of an exchange when its turn has come, and answers it. The caller touches the driver. */
  run(exchange: Exchange, command: Command, now: Ms): void {
    exchange.command = command;
    if (!this.current && this.waiting.length === 0) return this.execute(exchange, now);
    if (this.waiting.length >= MOST_WAITING) return exchange.answer(ERRORS.maxWaiters);
    this.waiting.push(exchange);
    exchange.waitFor(this);
  }

  /** Frees what it has, and answers its requests that the session is gone. The caller touches the driver. */
  close(now: Ms): void {
    if (this.session.closed) return;
    this.host.alarms.cancel(this);
    this.host.driver.engine.close(this.session, now, this.host.autoRelease);
    const { current } = this;
    this.current = this.answer = undefined;
    current?.answer(ERRORS.sessionEnded);
    this.host.share.each(this.waiting.splice(0), (exchange) => exchange.answer(ERRORS.sessionEnded));
  }

  /** Awaited. What is executed for a client that is gone is undone; what waits for its turn is not executed. */
  left(exchange: Exchange, now: Ms): void {
    if (exchange !== this.current) {
      const at = this.waiting.indexOf(exchange);
      if (at >= 0) this.waiting.splice(at, 1);
      return;
    }
    const { engine } = this.host.driver;
    if (this.answer === undefined) engine.cancel(this.session, this.op, now);
    const { answer } = this;
    this.current = this.answer = undefined;
    if (answer) this.undo(exchange.command!, answer, now);
    this.lastCommand = this.lastSeen = now;
    this.executeNext(now);
    this.host.driver.touch();
  }

  /** SessionSink */
  reply(op: OpId, answer: EngineAnswer): void {
    if (op !== this.op || !this.current) return;
    this.answer = answer;
    if (!this.isExecuting) this.host.driver.wake(this);
  }

  /** SessionSink. It has no subscriptions. */
  push(): boolean {
    return false;
  }

  /** SessionSink */
  evict(): void {
    // Only listeners are evicted.
  }

  /** Woken. When very many waits end at once, their answers wait for each other. */
  resume(): void {
    const { share } = this.host;
    if (share.isFree) share.do(this.giveAnswer);
    else share.wait(this, true);
  }

  /** SharedWork */
  proceed(): void {
    this.giveAnswer();
    this.host.driver.touch();
  }

  /** Alarm. The alarm is not moved with each command; whether it is time is decided when it rings. */
  ring(seen: Ms): void {
    const { share, endings, alarms, readTimeoutMs } = this.host;
    const due = (this.current ? seen : this.lastCommand) + readTimeoutMs;
    if (due > seen) return alarms.set(this, due);
    // What has arrived by now is executed first.
    share.whenHeard(() => endings.do(() => this.expire(seen)));
  }

  private expire(seen: Ms): void {
    if (this.session.closed) return;
    const { driver, alarms, readTimeoutMs } = this.host;
    const now = driver.clock.now();
    const due = (this.current ? now : this.lastCommand) + readTimeoutMs;
    if (due > seen) return alarms.set(this, Math.max(due, now + 1));
    this.close(now);
    this.died(this);
    driver.touch();
  }

  private readonly giveAnswer = (): void => {
    if (!this.current || !this.answer) return;
    const now = this.host.driver.clock.now();
    this.finish(now);
    this.executeNext(now);
  };

  private execute(exchange: Exchange, now: Ms): void {
    this.current = exchange;
    this.isExecuting = true;
    this.host.driver.engine.exec(this.session, ++this.op, exchange.command!, now);
    this.isExecuting = false;
    if (this.answer) this.finish(now);
    else exchange.waitFor(this);
  }

  private executeNext(now: Ms): void {
    while (!this.current && this.waiting.length > 0) this.execute(this.waiting.shift()!, now);
  }

  private finish(now: Ms): void {
    const exchange = this.current!;
    const answer = this.answer!;
    this.current = this.answer = undefined;
    this.lastCommand = this.lastSeen = now;
    exchange.answer(commandAnswer(exchange.command!, answer));
  }

  private undo(command: Command, answer: EngineAnswer, now: Ms): void {
    if ((answer.s !== 'granted' && answer.s !== 'acquired') || !('kind' in command)) return;
    const { kind, key } = command;
    this.host.driver.engine.exec(this.session, UNHEARD, { t: 'release', kind, key, token: answer.token }, now);
  }
}
