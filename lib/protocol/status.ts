import {
  AlreadyEnqueuedError,
  AuthError,
  LeaseExpiredError,
  LimitMismatchError,
  type LockError,
  type LockErrorDetails,
  MaxLocksError,
  MaxWaitersError,
  NotEnqueuedError,
  ProtocolError,
  ServerDrainingError,
} from '../common/errors.js';
import type { PlainStatus } from './messages.js';

/** Status ↔ word on the wire (spec 3.1). */
export const STATUS_WORDS: Readonly<Record<PlainStatus, string>> = {
  ok: 'ok',
  queued: 'queued',
  timeout: 'timeout',
  error: 'error',
  auth: 'error_auth',
  max_locks: 'error_max_locks',
  max_waiters: 'error_max_waiters',
  limit_mismatch: 'error_limit_mismatch',
  not_enqueued: 'error_not_enqueued',
  already_enqueued: 'error_already_enqueued',
  lease_expired: 'error_lease_expired',
  draining: 'error_draining',
};

/** Word on the wire → status. */
export const STATUS_BY_WORD: ReadonlyMap<string, PlainStatus> = new Map(
  Object.entries(STATUS_WORDS).map(([status, word]) => [word, status as PlainStatus]),
);

const ERRORS: Partial<Record<PlainStatus, new (details?: LockErrorDetails) => LockError>> = {
  auth: AuthError,
  max_locks: MaxLocksError,
  max_waiters: MaxWaitersError,
  limit_mismatch: LimitMismatchError,
  not_enqueued: NotEnqueuedError,
  already_enqueued: AlreadyEnqueuedError,
  lease_expired: LeaseExpiredError,
  draining: ServerDrainingError,
};

/** The error for a refusal. @param operation the name of the request */
export function errorOfStatus(status: PlainStatus, operation: string, details: LockErrorDetails = {}): LockError {
  const Typed = ERRORS[status];
  if (Typed) return new Typed(details);
  return new ProtocolError(`${operation}: the server answered "${STATUS_WORDS[status]}"`, details);
}
