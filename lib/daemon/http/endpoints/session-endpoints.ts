import { badRequest, ERRORS, json, NO_CONTENT } from '../answers/answer.js';
import type { Exchange } from '../exchange/exchange.js';
import { HttpSession } from '../sessions/http-session.js';
import type { Endpoint, EndpointHost } from './endpoint.js';

const ID = /^[0-9a-f]{32}$/;
const BAD_ID = badRequest('the session id must be 32 lower-case hex digits');

export const createSession: Endpoint = (exchange, { sessions, options }) => {
  const session = sessions.create(exchange.peer);
  if (!(session instanceof HttpSession)) return exchange.answer(session);
  exchange.answer(json(`{"session_id":"${session.id}","idle_timeout_s":${options.httpSessionIdleTimeout}}`));
};

/** The session that the path names, if it lives; otherwise the exchange is answered. */
function sessionInPath(exchange: Exchange, { sessions, driver }: EndpointHost): HttpSession | undefined {
  if (!ID.test(exchange.param)) return void exchange.answer(BAD_ID);
  const session = sessions.find(exchange.param, driver.clock.now());
  if (!session) exchange.answer(ERRORS.sessionGone);
  return session;
}

export const pingSession: Endpoint = (exchange, host) => {
  const session = sessionInPath(exchange, host);
  if (!session) return;
  session.ping(host.driver.clock.now());
  exchange.answer(NO_CONTENT);
};

/** Answers when everything that the session had is free. */
export const deleteSession: Endpoint = (exchange, host) => {
  const session = sessionInPath(exchange, host);
  if (!session) return;
  const { driver, sessions } = host;
  sessions.delete(session, driver.clock.now());
  driver.touch();
  const answer = (): void => {
    if (session.isCleared) exchange.answer(NO_CONTENT);
    else driver.clock.endOfTurn(answer);
  };
  answer();
};
