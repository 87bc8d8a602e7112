/** `nestjs-dflockd/testing`: locks for the tests of an application, without sockets. */
export type {
  AcquireRequest,
  BackendFactory,
  BackendHost,
  Capabilities,
  Grant,
  LinkEvent,
  LockBackend,
  LockKind,
  Owner,
  Pending,
  Placement,
  Proof,
  Released,
  RenewalRequest,
  SignalTaker,
  Waiter,
} from '../backends/backend.js';
export type { LockError, LockErrorDetails, LockLostError, LossReason } from '../common/errors.js';
export type { Clock, Entropy, Ms, Timer } from '../common/system.js';
export type { HeldGrant, LockEvent, LockEventBase, LockLostEvent } from '../locks/events/events.js';
export type { EmbeddedOptions } from '../backends/embedded/options.js';
export type { HttpServerOptions } from '../daemon/shared/http-options.js';
export type { DflockdServerOptions } from '../daemon/shared/options.js';
export type { LockHandle } from '../locks/handle/lock-handle.js';
export type { ScopeOptions, LockBodyOptions } from '../locks/lock-scope.js';
export type { LockTicket } from '../locks/tickets/ticket.js';
export type { AcquireOptions, TicketOptions } from '../locks/acquire/acquire-options.js';
export type {
  BackendOptions,
  LockTimes,
  LockClientOptions,
  LockKey,
  RemoteOptions,
  ServerAddress,
  ShardingStrategy,
} from '../locks/options/options.js';
export type { ServerStats } from '../protocol/server-stats.js';
export type { DflockdModuleOptions, DflockdModuleExtras } from '../nest/dflockd.options.js';
export type { DflockdService } from '../nest/dflockd.service.js';
export { attachLocks } from '../testing/attach-locks.js';
export { type HeldLockInfo, TestLocks, type TestLocksOptions } from '../testing/test-locks.js';
