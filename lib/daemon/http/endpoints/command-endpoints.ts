import { badRequest, ERRORS, failure } from '../answers/answer.js';
import { BODY_CAP, type Exchange } from '../exchange/exchange.js';
import type { HttpSession } from '../sessions/http-session.js';
import { type CommandParser, nameFault } from './commands.js';
import type { Endpoint, EndpointHost } from './endpoint.js';

const TOO_LONG = Object.freeze({ ...badRequest(`the body is too large: at most ${BODY_CAP} bytes`), closes: true });
const NO_SESSION = badRequest('the header X-Dflockd-Session is missing or empty');
const CONSUMED = failure(500, 'body_consumed', 'the application has read the body before this handler');

/** Reads the body; says how to mount the handler if a body parser was faster. */
export function readWhole(
  exchange: Exchange,
  { log }: EndpointHost,
  then: (exchange: Exchange, body: Buffer) => void,
): void {
  if (exchange.req.readableDidRead && !exchange.hasRead) {
    log.tell(
      'error',
      'the body of a request was read before the HTTP handler got it: mount the handler before body parsers, or ' +
        'switch them off for its paths (Nest: bodyParser: false; Fastify: a content type parser that reads nothing)',
    );
    return exchange.answer(CONSUMED);
  }
  exchange.readBody((_, body) => {
    if (body === undefined) exchange.answer(TOO_LONG);
    else then(exchange, body);
  });
}

/** The session that the header names, if it lives; otherwise the exchange is answered. */
function sessionOf(exchange: Exchange, { sessions, driver }: EndpointHost): HttpSession | undefined {
  const id = exchange.header('x-dflockd-session');
  if (!id) return void exchange.answer(NO_SESSION);
  const session = sessions.find(id, driver.clock.now());
  if (!session) exchange.answer(ERRORS.sessionGone);
  return session;
}

/** A command that a session executes. The checks come in this order: key, session, body, fields (spec 9.1). */
export const inSession =
  (parse: CommandParser): Endpoint =>
  (exchange, host) => {
    const fault = nameFault('key', exchange.param);
    if (fault !== undefined) return exchange.answer(badRequest(fault));
    const session = sessionOf(exchange, host);
    if (!session) return;
    readWhole(exchange, host, (_, body) => {
      const command = parse(exchange.param, body);
      if (typeof command === 'string') return exchange.answer(badRequest(command));
      // It may have ended while the body arrived.
      if (session.isDead) return exchange.answer(ERRORS.sessionEnded);
      const { driver } = host;
      session.run(exchange, command, driver.clock.now());
      driver.touch();
    });
  };

/** A signal; it needs no session. */
export const publishing =
  (parse: CommandParser): Endpoint =>
  (exchange, host) => {
    const fault = nameFault('channel', exchange.param);
    if (fault !== undefined) return exchange.answer(badRequest(fault));
    readWhole(exchange, host, (_, body) => {
      const command = parse(exchange.param, body);
      if (typeof command === 'string') return exchange.answer(badRequest(command));
      const { driver, publisher } = host;
      publisher.publish(exchange, command, driver.clock.now());
      driver.touch();
    });
  };
