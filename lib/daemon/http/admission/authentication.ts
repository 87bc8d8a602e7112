import type { Clock, Ms, Timer } from '../../../common/system.js';
import { trimBytes } from '../../../protocol/bytes.js';
import { AUTH_CLOSE_DELAY_MS } from '../../../protocol/limits.js';
import { isSecret } from '../../shared/credentials.js';
import { ERRORS } from '../answers/answer.js';
import type { Awaited, Exchange } from '../exchange/exchange.js';

const SCHEME = /^bearer /i;
/** So many refusals may wait to be sent; others end their connection instead. */
const MOST_DELAYED = 1000;

const UNAUTHORIZED_AT_ONCE = Object.freeze({ ...ERRORS.unauthorized, closes: true });

interface Delayed {
  readonly exchange: Exchange;
  readonly due: Ms;
}

/** Checks bearer tokens, and delays refusals, so that guessing is slow (spec 9.3). */
export class Authentication implements Awaited {
  private readonly delayed: Delayed[] = [];
  private timer: Timer | undefined;

  /** @param secret undefined: everyone may do everything */
  constructor(
    private readonly clock: Clock,
    private readonly secret: Buffer | undefined,
  ) {}

  get isOn(): boolean {
    return this.secret !== undefined;
  }

  /** @param authorization the first value of the header */
  admits(authorization: string | undefined): boolean {
    if (!this.secret) return true;
    const has = authorization !== undefined && SCHEME.test(authorization);
    return isSecret(has ? trimBytes(authorization.slice('bearer '.length)) : undefined, this.secret);
  }

  refuse(exchange: Exchange, now: Ms): void {
    if (this.delayed.length >= MOST_DELAYED) return exchange.answer(UNAUTHORIZED_AT_ONCE);
    this.delayed.push({ exchange, due: now + AUTH_CLOSE_DELAY_MS });
    exchange.waitFor(this);
    this.arm(AUTH_CLOSE_DELAY_MS);
  }

  /** Awaited */
  left(exchange: Exchange): void {
    const at = this.delayed.findIndex((one) => one.exchange === exchange);
    if (at >= 0) this.delayed.splice(at, 1);
  }

  /** Answers all that are delayed. */
  close(): void {
    if (this.timer) this.clock.clearTimer(this.timer);
    this.timer = undefined;
    for (const { exchange } of this.delayed.splice(0)) exchange.answer(ERRORS.unauthorized);
  }

  private arm(delay: Ms): void {
    this.timer ??= this.clock.setTimer(() => this.answerDue(), delay);
  }

  private answerDue(): void {
    this.timer = undefined;
    const now = this.clock.now();
    while (this.delayed.length > 0 && this.delayed[0]!.due <= now) {
      this.delayed.shift()!.exchange.answer(ERRORS.unauthorized);
    }
    if (this.delayed.length > 0) this.arm(this.delayed[0]!.due - now);
  }
}
