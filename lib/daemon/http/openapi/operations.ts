import { groupSchema, patternSchema, ref, type Schema } from './schemas.js';

type Tag = 'sessions' | 'locks' | 'semaphores' | 'signals' | 'introspection';

/** The responses that many operations share, by their names in the document. */
export type SharedResponse =
  'Unauthorized' | 'BadRequest' | 'TooManyRequests' | 'SessionGone' | 'CapacityExceeded' | 'InternalError';

/** An answer of its own: the name of a schema for JSON, or the content type of anything else; neither: no body. */
interface Answer {
  readonly description: string;
  readonly schema?: string;
  readonly contentType?: string;
}

export interface Operation {
  readonly tag: Tag;
  readonly summary: string;
  readonly description?: string;
  readonly body?: { readonly schema: string; readonly required: boolean };
  readonly query?: readonly Schema[];
  /** Whether it needs the header X-Dflockd-Session. */
  readonly session?: true;
  /** Whether it may be used without the token of the server. */
  readonly open?: true;
  /** Whether it is exempt from the rate limit. */
  readonly unlimited?: true;
  /** By status. Those of the token and of the rate limit are added. */
  readonly answers: Readonly<Record<number, Answer | SharedResponse>>;
}

const json = (schema: string, description: string): Answer => ({ schema, description });
const error = (description: string): Answer => json('ErrorResponse', description);
const nothing = (description: string): Answer => ({ description });

const required = (schema: string) => ({ schema, required: true }) as const;

const ofSession = { 400: 'BadRequest', 410: 'SessionGone' } as const;
/** So many requests may wait for their turn in a session that none is exempt from `max_waiters`. */
const ofLock = { ...ofSession, 503: 'CapacityExceeded' } as const;
const notHeld = error('`not_held`: the token is not that of a grant of this key, or its lease has expired.');
const mismatch = '`limit_mismatch`: the key exists with another limit.';

type Kind = 'lock' | 'semaphore';
const slot = { lock: 'the lock', semaphore: 'a slot of the semaphore' } as const;

const ofAcquire = { 200: json('AcquireResponse', 'Granted, or not granted in time.'), ...ofLock };

const acquire = (kind: Kind, schema: string): Operation => ({
  tag: `${kind}s`,
  summary: `Acquire ${slot[kind]}`,
  description:
    'Waits in one queue with all other clients. That nothing was granted in time is no error: the answer is 200 with ' +
    'the status `timeout`.',
  session: true,
  body: required(schema),
  answers: kind === 'lock' ? ofAcquire : { ...ofAcquire, 409: error(mismatch) },
});

const release = (kind: Kind): Operation => ({
  tag: `${kind}s`,
  summary: `Release ${slot[kind]}`,
  description: 'Any session may release a grant whose token it knows.',
  session: true,
  body: required('ReleaseRequest'),
  answers: { 204: nothing('Released.'), ...ofLock, 404: notHeld },
});

const renew = (kind: Kind): Operation => ({
  tag: `${kind}s`,
  summary: `Start the lease of ${slot[kind]} again`,
  description: 'The lease is the one given or the default of the server, not the one of the acquire.',
  session: true,
  body: required('RenewRequest'),
  answers: { 200: json('RenewResponse', 'Renewed.'), ...ofLock, 404: notHeld },
});

const enqueue = (kind: Kind, body: Operation['body']): Operation => ({
  tag: `${kind}s`,
  summary: `Take a place in the queue of ${slot[kind]}`,
  description: 'Answers at once. The same session calls `wait` for the grant.',
  session: true,
  body: body!,
  answers: {
    200: json('EnqueueResponse', 'Granted at once, or queued.'),
    ...ofLock,
    409: error(
      '`already_enqueued`: the session has a place or a grant of this key.' + (kind === 'lock' ? '' : ` ${mismatch}`),
    ),
  },
});

const wait = (kind: Kind): Operation => ({
  tag: `${kind}s`,
  summary: `Wait for ${slot[kind]} that was enqueued`,
  description: 'The lease starts again when this is answered. After a timeout the place is gone.',
  session: true,
  body: required('WaitRequest'),
  answers: {
    200: json('WaitResponse', 'Granted, or not granted in time.'),
    ...ofLock,
    409: error('`not_enqueued`: the session has no place. `lease_expired`: the grant was not fetched in time.'),
  },
});

/** Every operation by its `operationId`. */
export const OPERATIONS = {
  getHealth: {
    tag: 'introspection',
    summary: 'Whether the process is alive',
    open: true,
    unlimited: true,
    answers: { 200: json('StatusResponse', 'Alive.') },
  },
  getReady: {
    tag: 'introspection',
    summary: 'Whether the server takes requests',
    open: true,
    unlimited: true,
    answers: { 200: json('StatusResponse', 'Ready.'), 503: json('StatusResponse', 'Draining.') },
  },
  getMetrics: {
    tag: 'introspection',
    summary: 'Metrics in the text format of Prometheus',
    answers: { 200: { contentType: 'text/plain; version=0.0.4; charset=utf-8', description: 'The metrics.' } },
  },
  getStats: {
    tag: 'introspection',
    summary: 'Keys, their holders and queues, and listeners',
    answers: { 200: json('StatsResponse', 'In no particular order.'), 500: 'InternalError' },
  },
  getOpenAPI: {
    tag: 'introspection',
    summary: 'This document',
    open: true,
    answers: { 200: { contentType: 'application/json', description: 'An OpenAPI document.' } },
  },
  createSession: {
    tag: 'sessions',
    summary: 'Open a session',
    description:
      'A session is to HTTP what a connection is to TCP: it holds locks and places, runs one request at a time, and ' +
      'what it holds is freed when it ends. It ends when it is deleted or not used for long.',
    answers: {
      200: json('CreateSessionResponse', 'The session.'),
      500: 'InternalError',
      503: 'CapacityExceeded',
    },
  },
  deleteSession: {
    tag: 'sessions',
    summary: 'Close a session',
    description: 'What it holds and waits for is freed before the answer. Its other requests are answered 410.',
    answers: { 204: nothing('Closed.'), ...ofSession },
  },
  pingSession: {
    tag: 'sessions',
    summary: 'Keep a session alive',
    description: 'Never waits for another request of the session.',
    answers: { 204: nothing('Alive.'), ...ofSession },
  },
  acquireLock: acquire('lock', 'AcquireRequest'),
  releaseLock: release('lock'),
  renewLock: renew('lock'),
  enqueueLock: enqueue('lock', { schema: 'EnqueueRequest', required: false }),
  waitLock: wait('lock'),
  acquireSemaphore: acquire('semaphore', 'SemAcquireRequest'),
  releaseSemaphore: release('semaphore'),
  renewSemaphore: renew('semaphore'),
  enqueueSemaphore: enqueue('semaphore', required('SemEnqueueRequest')),
  waitSemaphore: wait('semaphore'),
  publishSignal: {
    tag: 'signals',
    summary: 'Publish a signal',
    body: required('SignalRequest'),
    answers: {
      200: json('SignalResponse', 'Published; nobody may have listened.'),
      400: 'BadRequest',
      503: 'CapacityExceeded',
    },
  },
  subscribeSignals: {
    tag: 'signals',
    summary: 'Listen to signals',
    description:
      'A stream of server-sent events. It begins with the comment `:ok`; each signal is an event `sig` with an object ' +
      'of `channel` and `payload` as its data. Nothing is replayed. The stream ends if its reader is too slow.',
    query: [
      {
        name: 'pattern',
        in: 'query',
        required: true,
        description: '`*` is one token, `>` the rest.',
        schema: patternSchema,
      },
      { name: 'group', in: 'query', description: 'Of a group, one member gets each signal.', schema: groupSchema },
    ],
    answers: {
      200: { contentType: 'text/event-stream', description: 'The stream.' },
      400: 'BadRequest',
      503: 'CapacityExceeded',
    },
  },
} as const satisfies Readonly<Record<string, Operation>>;

export type OperationId = keyof typeof OPERATIONS;

export const SHARED_RESPONSES: Readonly<Record<SharedResponse, string>> = {
  Unauthorized: '`unauthorized`: the server has a token, and the request does not carry it.',
  BadRequest: '`bad_request`: the path, the header X-Dflockd-Session, the query or the body is not right.',
  TooManyRequests: '`rate_limited`: too many requests from this address.',
  SessionGone: '`session_gone`: the session is unknown, closed or has timed out. Open a new one.',
  CapacityExceeded:
    '`max_locks`, `max_waiters`, `max_sessions`, `max_sessions_per_ip`: a limit of the server is reached. `draining`: ' +
    'the server is shutting down.',
  InternalError:
    '`body_consumed`: the application that this is mounted in has read the body. `unexpected_protocol_response`: a ' +
    'fault of the server.',
};

export const jsonContent = (schema: string): Schema => ({ 'application/json': { schema: ref(schema) } });
