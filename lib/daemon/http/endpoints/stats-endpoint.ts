import { type Alarm, newAlarm } from '../../../common/alarms.js';
import type { Ms } from '../../../common/system.js';
import type { Asker } from '../../fairness/stats-desk.js';
import type { SharedText } from '../../fairness/stats-pieces.js';
import { failure, json } from '../answers/answer.js';
import type { Awaited, Exchange } from '../exchange/exchange.js';
import type { Endpoint, EndpointHost } from './endpoint.js';

const { head: JSON_HEAD } = json('');
const TOO_LONG = failure(500, 'unexpected_protocol_response', 'there are too many keys for one answer');

/** Before the object in the reply of the line protocol, for which the texts are made. */
const LINE_START = 'ok '.length;
/** As on TCP: how many write timeouts the reader of a long text has for all of it. */
const PATIENCE = 4;
/** Used if there is no write timeout. */
const USUAL_TIMEOUT_MS: Ms = 5_000;

/** A long answer to `/v1/stats`: made in portions, and written as fast as its client reads. */
class LongStats implements Asker, Awaited {
  private text: SharedText | undefined;
  private next = 0;
  private readonly deadline: Alarm = newAlarm(() => this.exchange.cutOff());

  constructor(
    private readonly exchange: Exchange,
    private readonly host: EndpointHost,
  ) {}

  /** Asker */
  tell(text: SharedText | undefined): void {
    const { exchange, host } = this;
    if (!text) return exchange.answer(TOO_LONG);
    const { res, method } = exchange;
    text.open();
    this.text = text;
    exchange.startStream(200, JSON_HEAD);
    if (method === 'HEAD') return this.finish();
    const { clock } = host.driver;
    const timeoutMs = host.options.writeTimeout * 1000 || USUAL_TIMEOUT_MS;
    host.alarms.set(this.deadline, clock.now() + PATIENCE * timeoutMs);
    res.on('drain', this.pour);
    this.pour();
  }

  /** Awaited */
  left(): void {
    this.host.stats.leave(this);
    this.close();
  }

  private readonly pour = (): void => {
    const { text } = this;
    if (!text) return;
    const { res } = this.exchange;
    while (this.next < text.pieces.length) {
      const piece = text.pieces[this.next]!;
      const isFirst = this.next++ === 0;
      if (!res.write(isFirst ? piece.subarray(LINE_START) : piece)) return;
    }
    this.finish();
  };

  private finish(): void {
    this.close();
    this.exchange.finish(200);
  }

  private close(): void {
    this.host.alarms.cancel(this.deadline);
    this.text?.close();
    this.text = undefined;
  }
}

export const getStats: Endpoint = (exchange, host) => {
  const asker = new LongStats(exchange, host);
  const text = host.stats.ask(asker, host.driver.clock.now());
  if (text === undefined) exchange.waitFor(asker);
  else exchange.answer(json(text));
};
