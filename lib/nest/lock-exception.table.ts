import {
  AcquireTimeoutError,
  LockLostError,
  LockUnavailableError,
  MaxLocksError,
  MaxWaitersError,
  PoolExhaustedError,
  ServerDrainingError,
  ShuttingDownError,
  type LockError,
} from '../common/errors.js';

/** What a client is told about an error: a fixed text that names no key. */
export interface EdgeAnswer {
  readonly status: number;
  readonly message: string;
  /** Somebody else has the lock: the same request may succeed in a moment. */
  readonly busy: boolean;
}

const busy = (message: string): EdgeAnswer => ({ status: 423, message, busy: true });
const unavailable = (message: string): EdgeAnswer => ({ status: 503, message, busy: false });

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

/** Undefined: a mistake of the application, nothing that its clients could know about. */
export const answerTo = (error: LockError): EdgeAnswer | undefined =>
  ANSWERS.find(([type]) => error instanceof type)?.[1];

export const INTERNAL: EdgeAnswer = { status: 500, message: 'Internal server error', busy: false };
