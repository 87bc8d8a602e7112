import { STATUS_CODES } from 'node:http';
import { LockError } from '../../common/errors.js';
import { checkStatuses, settingsOf } from './exception.settings.js';
import { answerTo, INTERNAL, type EdgeAnswer, type LockErrorStatuses } from './lock-error-statuses.js';

/** Seconds after which a client may try again. */
const RETRY_AFTER = '1';

/** An HTTP response to a LockError. It names no key. */
export interface LockErrorResponse {
  status: number;
  /** `Retry-After`, in seconds, if the lock was busy; otherwise none. */
  headers: Record<string, string>;
  body: {
    statusCode: number;
    /** A fixed text for each kind of error. */
    message: string;
    /** The name of the status. Not for mistakes of the application, as in Nest's own answer. */
    error?: string | undefined;
    /** As of the error. Not for mistakes of the application. */
    code?: string | undefined;
  };
}

/**
 * The response that the exception filter of the module gives, for filters of the application that catch everything. A
 * mistake of the application (as NestedLockError) gets Nest's 500 without details: log the error.
 * @param statuses default: those of the module whose client threw the error
 * @returns undefined for what is no LockError
 * @throws ConfigError for statuses outside 400 to 599
 */
export function lockErrorResponse(error: LockError, statuses?: LockErrorStatuses): LockErrorResponse;
export function lockErrorResponse(error: unknown, statuses?: LockErrorStatuses): LockErrorResponse | undefined;
export function lockErrorResponse(error: unknown, statuses: LockErrorStatuses = {}): LockErrorResponse | undefined {
  checkStatuses('statuses', statuses);
  if (!(error instanceof LockError)) return undefined;
  const { busyStatus, keyStatus } = settingsOf(error);
  const answer = answerTo(error, {
    busyStatus: statuses.busyStatus ?? busyStatus,
    keyStatus: statuses.keyStatus ?? keyStatus,
  });
  if (answer) return responseTo(error, answer);
  const { status, message } = INTERNAL;
  return { status, headers: {}, body: { statusCode: status, message } };
}

export function responseTo({ code }: LockError, { status, message, busy }: EdgeAnswer): LockErrorResponse {
  const body: LockErrorResponse['body'] = { statusCode: status, message, code };
  const error = STATUS_CODES[status];
  return {
    status,
    headers: busy ? { 'Retry-After': RETRY_AFTER } : {},
    // In Nest's order.
    body: error === undefined ? body : { statusCode: status, message, error, code },
  };
}
