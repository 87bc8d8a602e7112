import { badRequest } from '../answers/answer.js';
import { SignalStream, STREAM_HEAD } from '../streams/signal-stream.js';
import { parseSubscription } from '../streams/subscription.js';
import type { Endpoint } from './endpoint.js';

/** Seconds between two probes of a silent client if the option is 0. */
const USUAL_PROBE_S = 15;

export const subscribeSignals: Endpoint = (exchange, { streams, sessions, options, driver }) => {
  const subscription = parseSubscription(exchange.query);
  if (typeof subscription === 'string') return exchange.answer(badRequest(subscription));
  const intervalMs = (options.httpSsePingInterval || USUAL_PROBE_S) * 1000;
  const stream = new SignalStream(exchange, streams, options.httpSseKeepAlive ? intervalMs : 0);
  const refusal = sessions.addStream(stream);
  if (refusal) return exchange.answer(refusal);
  if (exchange.method === 'HEAD') {
    sessions.removeStream(stream);
    exchange.startStream(200, STREAM_HEAD);
    return exchange.finish(200);
  }
  // The stream itself usually carries no sign of life, so the kernel looks whether the client is still there.
  exchange.req.socket.setKeepAlive(true, intervalMs);
  stream.start(subscription, driver.clock.now());
  driver.touch();
};
