import { STATUS_CODES } from 'node:http';
import { LockError } from '../../common/errors.js';
import { checkStatuses, settingsOf } from './exception.settings.js';
import { answerTo, INTERNAL, type EdgeAnswer, type LockErrorStatuses } from './lock-error-statuses.js';

/** Seconds after which a client may retry. */
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
    /** The name of the status. Absent for application errors, as in Nest's own response. */
    error?: string | undefined;
    /** The code of the error. Absent for application errors. */
    code?: string | undefined;
  };
}

/**
 * The response of the module's exception filter, for catch-all filters of the application. An application error (such
 * as NestedLockError) gets Nest's 500 without details, so log it.
 * @param statuses default: those of the module whose client threw the error
 * @returns undefined if it is not a LockError
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
    // The property order of Nest.
    body: error === undefined ? body : { statusCode: status, message, error, code },
  };
}
