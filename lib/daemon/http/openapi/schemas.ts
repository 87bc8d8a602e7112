import { MAX_SECONDS, SIGNAL_LINE_CAP } from '../../../protocol/limits.js';
import type { ErrorCode } from '../answers/answer.js';

/** A schema of JSON Schema 2020-12, as OpenAPI 3.1 uses them. */
export type Schema = Readonly<Record<string, unknown>>;

export const ref = (schema: string): Schema => ({ $ref: `#/components/schemas/${schema}` });

/** An object that has no other properties. Those after `required` may be absent. */
const object = (
  required: Readonly<Record<string, Schema>>,
  optional: Readonly<Record<string, Schema>> = {},
): Schema => ({
  type: 'object',
  additionalProperties: false,
  ...(Object.keys(required).length > 0 && { required: Object.keys(required) }),
  properties: { ...required, ...optional },
});

/** The body of a request: null stands for `{}`. */
const body = (...of: Parameters<typeof object>): Schema => ({ ...object(...of), type: ['object', 'null'] });

const text = (description: string): Schema => ({ type: 'string', description });
const word = (...words: string[]): Schema => ({ type: 'string', enum: words });
const count = (description: string): Schema => ({ type: 'integer', minimum: 0, description });
const seconds = (description: string): Schema => ({ type: 'integer', minimum: 0, maximum: MAX_SECONDS, description });
const fraction = (description: string): Schema => ({ type: 'number', minimum: 0, description });
/** Of a request. */
const optionalSeconds = (description: string): Schema => ({ ...seconds(description), type: ['integer', 'null'] });
const list = (of: string, description: string): Schema => ({ type: 'array', items: ref(of), description });

/** What keys, channels and tokens have in common: not empty, at most 256 bytes, no space, tab or line break. */
const ARGUMENT = { type: 'string', minLength: 1, maxLength: 256, pattern: '^[^ \\t\\r\\n]+$' };

export const keySchema: Schema = ARGUMENT;
export const channelSchema: Schema = { ...ARGUMENT, pattern: '^[^ \\t\\r\\n*>]+$' };
export const patternSchema: Schema = {
  ...ARGUMENT,
  pattern: '^(?:(?:\\*|[^*>. \\t\\r\\n]*)\\.)*(?:\\*|>|[^*>. \\t\\r\\n]*)$',
};
export const groupSchema: Schema = { type: 'string', maxLength: 256, pattern: '^[^\\r\\n]*$' };
export const sessionIdSchema: Schema = { type: 'string', pattern: '^[0-9a-f]{32}$' };

const token: Schema = { ...ARGUMENT, description: 'The token of the grant.' };
const limit: Schema = {
  type: 'integer',
  format: 'int64',
  minimum: 1,
  description: 'The number of slots. All who use the key must name the same.',
};
const timeout = optionalSeconds('How long to wait for the grant; 0 does not wait.');
const lease = optionalSeconds('The lease; 0 or absent: the default of the server.');

const granted = (status: string): Schema =>
  object({
    status: word(status),
    token: text('Names this grant in release and renew; its first 16 digits are the fence.'),
    lease_ttl_s: seconds('The lease that has begun.'),
  });
const notGranted = (status: string): Schema => object({ status: word(status) });

/** What the field `error` of an answer may be. */
const ERROR_CODES: readonly ErrorCode[] = [
  'bad_request',
  'unauthorized',
  'not_found',
  'method_not_allowed',
  'not_held',
  'already_enqueued',
  'not_enqueued',
  'lease_expired',
  'limit_mismatch',
  'session_gone',
  'rate_limited',
  'max_locks',
  'max_waiters',
  'fence_persistence',
  'max_sessions',
  'max_sessions_per_ip',
  'draining',
  'body_consumed',
  'unexpected_protocol_response',
];

export const SCHEMAS: Readonly<Record<string, Schema>> = {
  CreateSessionResponse: object({
    session_id: { ...sessionIdSchema, description: 'The value of the header X-Dflockd-Session.' },
    idle_timeout_s: fraction('A session that is not used for twice this time is removed; 0: never.'),
  }),
  AcquireRequest: body({}, { acquire_timeout_s: timeout, lease_ttl_s: lease }),
  SemAcquireRequest: object({ limit }, { acquire_timeout_s: timeout, lease_ttl_s: lease }),
  AcquireResponse: { oneOf: [granted('ok'), notGranted('timeout')] },
  ReleaseRequest: object({ token }),
  RenewRequest: object({ token }, { lease_ttl_s: lease }),
  RenewResponse: object({ remaining_s: seconds('The lease that has begun.') }),
  EnqueueRequest: body({}, { lease_ttl_s: lease }),
  SemEnqueueRequest: object({ limit }, { lease_ttl_s: lease }),
  EnqueueResponse: { oneOf: [granted('acquired'), notGranted('queued')] },
  WaitRequest: body({}, { timeout_s: timeout }),
  WaitResponse: { oneOf: [granted('ok'), notGranted('timeout')] },
  SignalRequest: object({
    payload: {
      type: 'string',
      minLength: 1,
      maxLength: SIGNAL_LINE_CAP - 'sig  '.length - 1,
      pattern: '^[^\\r\\n]*[^\\s][^\\r\\n]*$',
      description: 'One line that is not blank. Channel and payload have at most 65,531 bytes together.',
    },
  }),
  SignalResponse: object({ delivered: count('How many listeners got it. Nothing is stored for later ones.') }),
  StatsResponse: object({
    connections: count('TCP connections and sessions.'),
    locks: list('LockInfo', 'Keys of limit 1 that are held or waited for.'),
    semaphores: list('SemInfo', 'Keys of a greater limit that are held or waited for.'),
    idle_locks: list('IdleInfo', 'Released keys of limit 1 that are still in memory.'),
    idle_semaphores: list('IdleInfo', 'Released keys of a greater limit that are still in memory.'),
    signal_channels: list('SignalChannelInfo', 'Patterns that are listened to.'),
  }),
  StatusResponse: object({ status: word('ok', 'draining') }),
  LockInfo: object({
    key: text('The key.'),
    owner_conn_id: count('The connection or session that holds it; 0: none.'),
    lease_expires_in_s: fraction('What is left of the lease; 0 without a holder.'),
    waiters: count('The length of its queue.'),
  }),
  SemInfo: object({
    key: text('The key.'),
    limit: { type: 'integer', minimum: 1, description: 'The number of slots.' },
    holders: count('How many slots are held.'),
    waiters: count('The length of its queue.'),
  }),
  IdleInfo: object({ key: text('The key.'), idle_s: fraction('How long nobody has held it.') }),
  SignalChannelInfo: object(
    { pattern: text('The pattern.'), listeners: count('How many listen.') },
    { group: text('The queue group; absent if none.') },
  ),
  ErrorResponse: object(
    { error: word(...ERROR_CODES) },
    { detail: text('What was wrong, for people. Its wording may change.') },
  ),
};
