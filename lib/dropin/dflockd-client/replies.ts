import { AcquireTimeoutError, LockError } from '../../common/errors.js';
import { withoutToken } from '../../common/shown.js';

/** The lease of a reply with a missing or malformed lease. */
const FALLBACK_LEASE_S = 30;

/** The names of requests in error messages. */
export type Operation =
  | 'acquire'
  | 'renew'
  | 'enqueue'
  | 'wait'
  | 'release'
  | 'sem_acquire'
  | 'sem_renew'
  | 'sem_enqueue'
  | 'sem_wait'
  | 'sem_release'
  | 'stats'
  | 'signal'
  | 'listen'
  | 'unlisten'
  | 'auth';

/** A lock, or a slot of a semaphore. */
export interface Granted {
  token: string;
  /** Seconds. */
  lease: number;
}

export const refused = (operation: Operation, reply: string): LockError =>
  new LockError(`${operation} failed: '${withoutToken(reply)}'`);

const leaseOf = (field: string | undefined, otherwise: number): number => {
  const lease = field === undefined || field === '' ? NaN : Number(field);
  return Number.isFinite(lease) && lease >= 0 ? lease : otherwise;
};

/** Parses `<word> <token> <lease>`; undefined for another word. */
function grantAfter(word: string, reply: string, operation: Operation): Granted | undefined {
  const [first, token, lease] = reply.split(' ');
  if (first !== word) return undefined;
  if (!token) throw new LockError(`${operation} failed: no token in '${reply}'`);
  return { token, lease: leaseOf(lease, FALLBACK_LEASE_S) };
}

/** @throws AcquireTimeoutError */
export function readGrant(reply: string, operation: Operation, key: string): Granted {
  if (reply === 'timeout') throw new AcquireTimeoutError(key);
  const granted = grantAfter('ok', reply, operation);
  if (!granted) throw refused(operation, reply);
  return granted;
}

/** Returns undefined if queued. */
export function readPlace(reply: string, operation: Operation): Granted | undefined {
  if (reply === 'queued') return undefined;
  const granted = grantAfter('acquired', reply, operation);
  if (!granted) throw refused(operation, reply);
  return granted;
}

/** Returns the new lease in seconds. */
export function readRenewal(reply: string, operation: Operation, asked: number | undefined): number {
  const [word, lease] = reply.split(' ');
  if (word !== 'ok') throw refused(operation, reply);
  return leaseOf(lease, asked ?? FALLBACK_LEASE_S);
}

export function readOk(reply: string, operation: Operation): void {
  if (reply.split(' ', 1)[0] !== 'ok') throw refused(operation, reply);
}

/** Returns the number of copies delivered. */
export function readCount(reply: string): number {
  const [word, count = ''] = reply.split(' ');
  if (word !== 'ok') throw refused('signal', reply);
  if (!/^\d+$/.test(count)) throw new LockError(`signal failed: the count is not a number in '${reply}'`);
  return Number(count);
}

export function readStats<T>(reply: string): T {
  if (!reply.startsWith('ok ')) throw refused('stats', reply);
  let value: unknown;
  try {
    value = JSON.parse(reply.slice(3));
  } catch (cause) {
    throw new LockError(`stats failed: no JSON in '${reply.slice(0, 200)}'`, { cause });
  }
  if (typeof value !== 'object' || value === null) throw new LockError(`stats failed: no JSON object in '${reply}'`);
  return value as T;
}
