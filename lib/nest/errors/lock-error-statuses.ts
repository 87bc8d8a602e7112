import {
  AcquireTimeoutError,
  LockKeyError,
  LockLostError,
  LockUnavailableError,
  MaxLocksError,
  MaxWaitersError,
  PoolExhaustedError,
  ServerDrainingError,
  ShuttingDownError,
  type LockError,
} from '../../common/errors.js';

/** What a client is told about an error: a fixed text that names no key. */
export interface EdgeAnswer {
  readonly status: number;
  readonly message: string;
  /** Another caller has the lock: the same request may succeed in a moment. */
  readonly busy: boolean;
}

const busy = (message: string): EdgeAnswer => ({ status: 423, message, busy: true });
const unavailable = (message: string): EdgeAnswer => ({ status: 503, message, busy: false });

/** The statuses that an application can choose. */
export interface LockErrorStatuses {
  /** For a busy lock. Default 423. */
  readonly busyStatus?: number | undefined;
  /**
   * For a key that a decorator could not build from the arguments of a call. Default 400; 500: an application error.
   */
  readonly keyStatus?: number | undefined;
}

export const INTERNAL: EdgeAnswer = { status: 500, message: 'Internal server error', busy: false };

const BAD_KEY: EdgeAnswer = {
  status: 400,
  message: 'The request has a value that cannot be part of a lock key',
  busy: false,
};

type ErrorClass = abstract new (...args: any[]) => LockError;

const ANSWERS: readonly (readonly [ErrorClass, EdgeAnswer])[] = [
  [AcquireTimeoutError, busy('The resource is in use, try again later')],
  [MaxWaitersError, busy('Too many are waiting for the resource, try again later')],
  [LockUnavailableError, unavailable('The lock service cannot be reached')],
  [LockLostError, unavailable('The lock was lost, the outcome is unknown')],
  [PoolExhaustedError, unavailable('The lock service is overloaded')],
  [MaxLocksError, unavailable('The lock service is overloaded')],
  [ServerDrainingError, unavailable('The lock service is shutting down')],
  [ShuttingDownError, unavailable('The service is shutting down')],
];

/** Undefined: an application error, about which clients are told nothing. */
export function answerTo(
  error: LockError,
  { busyStatus, keyStatus = BAD_KEY.status }: LockErrorStatuses = {},
): EdgeAnswer | undefined {
  if (error instanceof LockKeyError) {
    return error.fromArguments && keyStatus !== INTERNAL.status ? { ...BAD_KEY, status: keyStatus } : undefined;
  }
  const answer = ANSWERS.find(([type]) => error instanceof type)?.[1];
  return answer?.busy && busyStatus !== undefined ? { ...answer, status: busyStatus } : answer;
}
