import {
  AcquireTimeoutError,
  type LockError,
  LockUnavailableError,
  PoolExhaustedError,
} from '../../../common/errors.js';
import { shown } from '../../../common/shown.js';
import type { QueueSite } from './queue-site.js';
import type { QueueState } from './queue-state.js';

/**
 * The error for a caller whose deadline has passed.
 * @param wasTaken somebody has held the lock since the caller arrived
 * @param trouble what failed last
 */
export function deadlineError(
  { server, commands, waitSessions }: Pick<QueueSite, 'server' | 'commands' | 'waitSessions'>,
  key: string,
  state: QueueState,
  wasTaken: boolean,
  trouble: LockError | undefined,
): LockError {
  const details = { key, server };
  if (state === 'polling') return exhausted(waitSessions.cap, key, server);
  if (state === 'trying' && !wasTaken) return new LockUnavailableError('no answer in time', details);
  if (state === 'pausing') return commands.outage ?? trouble ?? new AcquireTimeoutError(key, details);
  return new AcquireTimeoutError(key, details);
}

/** This process holds the lock for another key with the same id. If the caller itself holds that key, it has waited for itself. */
export const sharedId = (key: string, other: string, server: string): AcquireTimeoutError =>
  new AcquireTimeoutError(
    key,
    { server },
    `this process holds "${shown(other)}", which has the same lock id (option postgresBackend.lockId)`,
  );

/** There is no connection to wait on. */
export const exhausted = (cap: number, key: string, server: string): LockError =>
  new PoolExhaustedError(
    `all ${cap} wait connections to ${server} are in use (option postgresBackend.maxWaitConnections)`,
    {
      key,
      server,
    },
  );
