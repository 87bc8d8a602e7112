import { quoteBytes } from '../../../core/json-text.js';

/** The codes of errors (spec 9.3). */
export type ErrorCode =
  | 'bad_request'
  | 'unauthorized'
  | 'not_found'
  | 'not_held'
  | 'method_not_allowed'
  | 'already_enqueued'
  | 'not_enqueued'
  | 'lease_expired'
  | 'limit_mismatch'
  | 'session_gone'
  | 'rate_limited'
  | 'body_consumed'
  | 'session_create_failed'
  | 'unexpected_protocol_response'
  | 'max_locks'
  | 'max_waiters'
  | 'fence_persistence'
  | 'max_sessions'
  | 'max_sessions_per_ip'
  | 'draining';

/** Names and values of headers, one after the other. */
export type Head = readonly string[];

/** A complete answer. */
export interface Answer {
  readonly status: number;
  readonly head: Head;
  /** A byte string; undefined: no body and no length (204). */
  readonly body: string | undefined;
  /** Whether the connection must not be used again. */
  readonly closes?: boolean;
}

const JSON_HEAD: Head = ['Content-Type', 'application/json', 'X-Content-Type-Options', 'nosniff'];
const PLAIN_HEAD: Head = ['Content-Type', 'text/plain; charset=utf-8'];
const NO_HEAD: Head = [];

/** @param text a byte string without the LF at the end */
export const json = (text: string, status = 200): Answer => ({ status, head: JSON_HEAD, body: `${text}\n` });

/** A plain text of the HTTP layer itself; it ends the connection. */
export const plain = (status: number, text: string): Answer => ({ status, head: PLAIN_HEAD, body: text, closes: true });

/** @param head without its length */
export const custom = (status: number, head: Head, body: string): Answer => ({
  status,
  head,
  body,
});

export const NO_CONTENT: Answer = Object.freeze({ status: 204, head: NO_HEAD, body: undefined });
/** The answer to `OPTIONS *`. */
export const NOTHING: Answer = Object.freeze({ status: 200, head: NO_HEAD, body: '' });

/** @param detail must not contain anything that a client sent */
export const failure = (status: number, code: ErrorCode, detail?: string): Answer =>
  json(detail === undefined ? `{"error":"${code}"}` : `{"error":"${code}","detail":${quoteBytes(detail)}}`, status);

export const badRequest = (detail: string): Answer => failure(400, 'bad_request', detail);

/** Errors without a detail, made once. */
export const ERRORS = Object.freeze({
  unauthorized: failure(401, 'unauthorized'),
  notFound: failure(404, 'not_found'),
  alreadyEnqueued: failure(409, 'already_enqueued'),
  notEnqueued: failure(409, 'not_enqueued'),
  leaseExpired: failure(409, 'lease_expired'),
  limitMismatch: failure(409, 'limit_mismatch'),
  sessionGone: failure(410, 'session_gone'),
  /** It ended while the request waited or was executed. */
  sessionEnded: failure(410, 'session_gone', 'the session ended during the request'),
  rateLimited: failure(429, 'rate_limited'),
  sessionCreateFailed: failure(500, 'session_create_failed'),
  internal: failure(500, 'unexpected_protocol_response'),
  maxLocks: failure(503, 'max_locks'),
  maxWaiters: failure(503, 'max_waiters'),
  fencePersistence: failure(503, 'fence_persistence'),
  maxSessions: failure(503, 'max_sessions'),
  maxSessionsPerIp: failure(503, 'max_sessions_per_ip'),
  draining: failure(503, 'draining'),
});

export const methodNotAllowed = (allow: string): Answer => {
  const answer = failure(405, 'method_not_allowed');
  return { ...answer, head: ['Allow', allow, ...answer.head] };
};

/** @param location safe to stand in a header and in HTML @param isRead whether the method is GET or HEAD */
export const redirect = (location: string, isRead: boolean): Answer =>
  isRead
    ? custom(
        307,
        ['Content-Type', 'text/html; charset=utf-8', 'Location', location],
        `<a href="${location.replaceAll('&', '&amp;')}">Temporary Redirect</a>.\n\n`,
      )
    : custom(307, ['Location', location], '');
