import { AcquireTimeoutError, LeaseExpiredError } from '../../common/errors.js';
import { systemClock } from '../../common/system.js';
import { acquireOn, enqueueOn, type FreshGrant, type Subject } from './requests.js';
import { ANSWER_MS, type SocketLines } from './socket-lines.js';

/**
 * Takes a place in the queue; takes another if the lease had expired before the grant was read.
 * @returns undefined if queued
 */
export async function placeOn(
  lines: SocketLines,
  subject: Subject,
  leaseS: number | undefined,
): Promise<FreshGrant | undefined> {
  for (;;) {
    const asked = enqueueOn(lines.socket, subject, leaseS);
    lines.expect(ANSWER_MS, 'enqueue');
    try {
      return await asked;
    } catch (error) {
      if (!(error instanceof LeaseExpiredError)) throw error;
    }
  }
}

/**
 * The grant of a request. If its lease had expired before the grant was read, requests the lock again in the time left.
 * @param what the name of the request
 * @param waitS seconds to wait in total
 * @throws AcquireTimeoutError
 */
export async function grantOf(
  asked: Promise<FreshGrant>,
  what: string,
  lines: SocketLines,
  subject: Subject,
  waitS: number,
  leaseS: number | undefined,
): Promise<FreshGrant> {
  const deadline = systemClock.now() + waitS * 1000;
  lines.expect(waitS * 1000 + ANSWER_MS, what);
  for (;;) {
    try {
      return await asked;
    } catch (error) {
      if (!(error instanceof LeaseExpiredError)) throw error;
      const leftS = Math.floor((deadline - systemClock.now()) / 1000);
      if (leftS < 0) throw new AcquireTimeoutError(subject.key);
      asked = acquireOn(lines.socket, subject, leftS, leaseS);
      lines.expect(leftS * 1000 + ANSWER_MS, 'acquire');
    }
  }
}
