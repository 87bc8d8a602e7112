import type { Socket } from 'node:net';
import type { Granted } from './replies.js';
import { acquireOn, enqueueOn, publishOn, releaseOn, renewOn, type Subject, waitOn } from './requests.js';

/**
 * One request on a socket of the caller's: connected, authenticated if need be, and not asked anything else meanwhile.
 * Seconds are whole numbers. All reject with LockError for arguments that cannot be sent, for what the server refuses, and
 * when the connection ends; with the socket's own error when that fails. A grant that lay unread because the process stood
 * still is renewed before it is handed over; where that is refused, they reject with LeaseExpiredError.
 */

/** What `enqueue` answers: `token` and `lease` are null while queued. */
export interface EnqueueResult {
  status: 'acquired' | 'queued';
  token: string | null;
  lease: number | null;
}

const lock = (key: string): Subject => ({ kind: 'lock', key, limit: 1 });
const slot = (key: string, limit = 1): Subject => ({ kind: 'sem', key, limit });

const told = ({ token, lease }: Granted): Granted => ({ token, lease });

const placed = (granted: Granted | undefined): EnqueueResult =>
  granted ? { status: 'acquired', ...told(granted) } : { status: 'queued', token: null, lease: null };

/** Waits up to `acquireTimeoutS` for a lock. @throws AcquireTimeoutError */
export async function acquire(
  sock: Socket,
  key: string,
  acquireTimeoutS: number,
  leaseTtlS?: number,
): Promise<{ token: string; lease: number }> {
  return told(await acquireOn(sock, lock(key), acquireTimeoutS, leaseTtlS));
}

/** Sets the lease anew, to the server's default unless `leaseTtlS` is given; returns it in seconds. */
export async function renew(sock: Socket, key: string, token: string, leaseTtlS?: number): Promise<number> {
  return renewOn(sock, lock(key), token, leaseTtlS);
}

/** Takes a place in the queue of a lock without waiting. */
export async function enqueue(sock: Socket, key: string, leaseTtlS?: number): Promise<EnqueueResult> {
  return placed(await enqueueOn(sock, lock(key), leaseTtlS));
}

/** Waits up to `waitTimeoutS` in the place that `enqueue` took. @throws AcquireTimeoutError */
export async function waitForLock(
  sock: Socket,
  key: string,
  waitTimeoutS: number,
): Promise<{ token: string; lease: number }> {
  return told(await waitOn(sock, lock(key), waitTimeoutS));
}

/** Releases a lock by its token. */
export async function release(sock: Socket, key: string, token: string): Promise<void> {
  return releaseOn(sock, lock(key), token);
}

/** Waits up to `acquireTimeoutS` for one of `limit` slots. @throws AcquireTimeoutError */
export async function semAcquire(
  sock: Socket,
  key: string,
  acquireTimeoutS: number,
  limit: number,
  leaseTtlS?: number,
): Promise<{ token: string; lease: number }> {
  return told(await acquireOn(sock, slot(key, limit), acquireTimeoutS, leaseTtlS));
}

/** As `renew`, for a slot. */
export async function semRenew(sock: Socket, key: string, token: string, leaseTtlS?: number): Promise<number> {
  return renewOn(sock, slot(key), token, leaseTtlS);
}

/** As `enqueue`, for one of `limit` slots. */
export async function semEnqueue(sock: Socket, key: string, limit: number, leaseTtlS?: number): Promise<EnqueueResult> {
  return placed(await enqueueOn(sock, slot(key, limit), leaseTtlS));
}

/** As `waitForLock`, for a slot. @throws AcquireTimeoutError */
export async function semWaitForLock(
  sock: Socket,
  key: string,
  waitTimeoutS: number,
): Promise<{ token: string; lease: number }> {
  return told(await waitOn(sock, slot(key), waitTimeoutS));
}

/** As `release`, for a slot. */
export async function semRelease(sock: Socket, key: string, token: string): Promise<void> {
  return releaseOn(sock, slot(key), token);
}

/** Sends a signal; returns how many copies the server put into buffers of listeners. */
export async function publish(sock: Socket, channel: string, payload: string): Promise<number> {
  return publishOn(sock, channel, payload);
}
