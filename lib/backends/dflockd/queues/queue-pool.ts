import type { Alarms } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Clock, Entropy, Ms } from '../../../common/system.js';
import type { RemoteConfig } from '../lanes/config.js';
import type { Lane } from '../lanes/lane.js';
import type { PlacePool } from './place.js';
import type { LeaseTerms } from './place-lease.js';

/** What a key queue needs from its server pool. */
export interface QueuePool extends PlacePool, LeaseTerms {
  readonly server: string;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** These alarms do not keep the process alive; the deadlines of waiters do. */
  readonly alarms: Alarms;
  readonly config: RemoteConfig;
  /** As in LeaseTerms; learned from grants. */
  defaultLeaseMs: Ms;
  /** The server's read timeout, as far as is known. */
  readonly readTimeoutMs: Ms;
  /** Whether a command lane is connected. Without one, no place is taken. */
  readonly isLinked: boolean;
  /** Why none is. */
  readonly outage: LockError | undefined;
  /** Why the server accepts no more connections; undefined: it does. */
  readonly shortage: string | undefined;
  command(): Lane | undefined;
}
