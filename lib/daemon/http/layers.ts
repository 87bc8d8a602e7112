import type { Ms } from '../../common/system.js';
import type { Authentication } from './admission/authentication.js';
import type { Cors } from './admission/cors.js';
import type { RateLimit } from './admission/rate-limit.js';
import {
  type Answer,
  ERRORS,
  type Head,
  methodNotAllowed,
  NO_CONTENT,
  NOTHING,
  plain,
  redirect,
} from './answers/answer.js';
import { UNMATCHED } from './metrics/request-metrics.js';
import type { Match, Router } from './routing/router.js';
import { PATHS_WITHOUT_RATE, PATHS_WITHOUT_TOKEN } from './routing/routes.js';
import { cleanPath, decodeSegment, isClean, parseTarget, safePath, type Target } from './routing/target.js';

/** A request as it was sent, whoever parsed it. */
export interface Asked {
  readonly method: string;
  /** The raw target, below the path at which the handler is mounted. */
  readonly url: string;
  /** Of the address in a redirect: the path at which the handler is mounted. */
  readonly base: string;
  readonly peer: string;
  /** The first value of a header. @param name in lower case */
  header(name: string): string | undefined;
}

/** What the layers before the endpoints have found. */
export interface Layered {
  /** Undefined: the endpoint of the route answers. */
  readonly answer: Answer | undefined;
  readonly match: Match;
  readonly query: string;
  /** Headers for any answer. */
  readonly cors: Head;
  /** The label of the path in metrics; undefined: metrics do not count the request. */
  readonly label: string | undefined;
}

const NO_HEAD: Head = [];
const NO_MATCH: Match = { route: undefined, param: '', allow: undefined };

const uncounted = (answer: Answer, cors = NO_HEAD): Layered => ({
  answer,
  match: NO_MATCH,
  query: '',
  cors,
  label: undefined,
});

const BAD_REQUEST = uncounted(plain(400, '400 Bad Request'));
const ASTERISK = uncounted(NOTHING);

/** The layers that every request passes, in the order of the original (spec 9.1). */
export class Layers {
  constructor(
    private readonly router: Router,
    private readonly cors: Cors,
    private readonly rate: RateLimit,
    private readonly authentication: Authentication,
  ) {}

  pass(asked: Asked, now: Ms): Layered {
    const { method, peer } = asked;
    if (asked.url === '*' && method === 'OPTIONS') return ASTERISK;
    const target = parseTarget(asked.url);
    if (!target) return BAD_REQUEST;
    const { isOn } = this.cors;
    const cors = isOn ? this.cors.headOf(asked.header('origin')) : NO_HEAD;
    if (isOn && method === 'OPTIONS' && asked.header('access-control-request-method')) {
      return uncounted(NO_CONTENT, cors);
    }
    const { path } = target;
    const clean = method === 'CONNECT' || isClean(path) ? path : cleanPath(path);
    const match = this.router.match(clean, method);
    const found = { match, query: target.query, cors, label: match.route?.path ?? UNMATCHED };
    if (!PATHS_WITHOUT_RATE.has(decodeSegment(path)) && !this.rate.admits(peer, now)) {
      return { ...found, answer: ERRORS.rateLimited };
    }
    const { authentication } = this;
    if (authentication.isOn && !PATHS_WITHOUT_TOKEN.has(decodeSegment(path))) {
      if (!authentication.admits(asked.header('authorization'))) return { ...found, answer: ERRORS.unauthorized };
    }
    return { ...found, answer: this.routing(asked, target, match, clean) };
  }

  private routing({ method, base }: Asked, target: Target, match: Match, clean: string): Answer | undefined {
    if (match.route) {
      if (clean === target.path) return undefined;
      const query = target.query === '' ? '' : `?${target.query}`;
      return redirect(safePath(base + clean + query), method === 'GET' || method === 'HEAD');
    }
    return match.allow === undefined ? ERRORS.notFound : methodNotAllowed(match.allow);
  }
}
