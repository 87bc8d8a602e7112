import { type LockError, LockUnavailableError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Asked } from './asked.js';

/** What callers are told whose answers are overdue. */
export const overdue = (server: string, after: Ms): LockError =>
  new LockUnavailableError(`Postgres has not answered for ${after} ms`, { server });

/** Since when the caller waits who has waited for longest. Infinity: nobody waits. */
export function oldestOf(all: readonly Pick<Asked, 'askedAt'>[]): Ms {
  let oldest = Infinity;
  for (const { askedAt } of all) if (askedAt < oldest) oldest = askedAt;
  return oldest;
}

/** Tells those who have waited since `before`, or for longer. They are told again after as long a time. */
export function giveUpOn(all: readonly Asked[], error: LockError, before: Ms, now: Ms): void {
  for (const asked of all) {
    if (asked.askedAt > before) continue;
    asked.askedAt = now;
    asked.giveUp(error);
  }
}
