import { AcquireTimeoutError, LeaseExpiredError } from '../common/errors.js';
import { systemClock } from '../common/system.js';
import { acquireOn, enqueueOn, type FreshGrant, type Subject } from './requests.js';
import { ANSWER_MS, type SocketLines } from './socket-lines.js';

/** A grant that was over when it was read has been given to somebody else, or will be: the lock is asked for again. */

/** Undefined: queued. */
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
 * What has been asked for brings, within so many seconds.
 * @param what the name of the request
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
