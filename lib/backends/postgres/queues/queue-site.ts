import type { Alarms } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Clock, Entropy, Ms } from '../../../common/system.js';
import type { Commands, TryOp } from '../commands/commands.js';
import type { WaitSessions } from '../commands/wait-sessions.js';
import type { KeptHolds } from '../keep/kept-holds.js';
import type { Holdings } from './holdings.js';

/** What key queues need of the options. */
export interface QueueConfig {
  /** `sessionTimeoutMs`: T in the rules. */
  readonly sessionTimeoutMs: Ms;
  /** May be Infinity. */
  readonly maxWaitConnections: number;
  /** The most places that a key has in the server's queue. May be Infinity. */
  readonly waitersPerKey: number;
  /** How often a lock is handed on in this process before other processes get their turn. */
  readonly localTurns: number;
  /** How long after its grant a lock is no longer handed on in this process. */
  readonly localMs: Ms;
  /** The longest time between two tries of the first waiter of a semaphore. */
  readonly semPollMs: Ms;
}

/** A queue that polls. */
export interface Starving {
  readonly state: string;
  /** A place may be available now. */
  adjust(): void;
}

/** What the key queues of one backend share. */
export interface QueueSite {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly config: QueueConfig;
  /** These alarms do not keep the process alive; the deadlines of waiters do. */
  readonly alarms: Alarms;
  readonly commands: Commands;
  readonly waitSessions: WaitSessions;
  /** Undefined without a table of kept holds. */
  readonly kept: KeptHolds | undefined;
  readonly holdings: Holdings;
  /** `host:port/database` */
  readonly server: string;
  /** Why nothing is granted any more. */
  readonly ended: LockError | undefined;
  /** Tries for a lock that may be kept. */
  try(op: TryOp): void;
  /** A queue has begun to poll, because there is no session for a place. */
  starving(queue: Starving): void;
  /** Reports that the server serves less well than it should. The same text is not repeated for a while. */
  degraded(detail: string): void;
  /** Logs a warning for operators. */
  warn(message: string): void;
}
