import type { Socket } from 'node:net';
import type { Granted } from './replies.js';
import { acquireOn, enqueueOn, publishOn, releaseOn, renewOn, type Subject, waitOn } from './requests.js';

/**
 * Each function sends one request on the caller's socket, which must be connected, authenticated if necessary, and not
 * used for anything else meanwhile. Seconds are whole numbers. The functions reject with LockError if an argument
 * cannot be sent, the server refuses the request or the connection ends, and with the socket's error if the socket
 * fails. A grant that lay unread because the process was stalled is renewed before it is returned; if the server
 * refuses that, they reject with LeaseExpiredError.
 */

/** The result of `enqueue`; `token` and `lease` are null while queued. */
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

/** Renews the lease, for the server's default unless `leaseTtlS` is given; returns the new lease in seconds. */
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

/** Like `renew`, for a slot. */
export async function semRenew(sock: Socket, key: string, token: string, leaseTtlS?: number): Promise<number> {
  return renewOn(sock, slot(key), token, leaseTtlS);
}

/** Like `enqueue`, for one of `limit` slots. */
export async function semEnqueue(sock: Socket, key: string, limit: number, leaseTtlS?: number): Promise<EnqueueResult> {
  return placed(await enqueueOn(sock, slot(key, limit), leaseTtlS));
}

/** Like `waitForLock`, for a slot. @throws AcquireTimeoutError */
export async function semWaitForLock(
  sock: Socket,
  key: string,
  waitTimeoutS: number,
): Promise<{ token: string; lease: number }> {
  return told(await waitOn(sock, slot(key), waitTimeoutS));
}

/** Like `release`, for a slot. */
export async function semRelease(sock: Socket, key: string, token: string): Promise<void> {
  return releaseOn(sock, slot(key), token);
}

/** Sends a signal; returns how many copies the server put into the buffers of listeners. */
export async function publish(sock: Socket, channel: string, payload: string): Promise<number> {
  return publishOn(sock, channel, payload);
}
