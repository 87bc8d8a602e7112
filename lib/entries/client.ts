/** Locks without Nest: `nestjs-dflockd/client`. */
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
export type { Endpoint, RemoteConfig } from '../backends/dflockd/lanes/config.js';
export type { EmbeddedAddress, EmbeddedOptions, ShownEmbedded } from '../backends/embedded/options.js';
export type { HttpServerOptions } from '../daemon/shared/http-options.js';
export type { DflockdServerOptions, ResolvedServerSettings, ShownServerOptions } from '../daemon/shared/options.js';
export * from '../common/errors.js';
export type { Clock, Entropy, Ms, Timer } from '../common/system.js';
export type { ConnectOptions } from '../dropin/dflockd-client/dial.js';
export type { DistributedHold } from '../dropin/dflockd-client/distributed-hold.js';
export { DistributedLock } from '../dropin/dflockd-client/distributed-lock.js';
export { DistributedSemaphore } from '../dropin/dflockd-client/distributed-semaphore.js';
export {
  acquire,
  enqueue,
  type EnqueueResult,
  publish,
  release,
  renew,
  semAcquire,
  semEnqueue,
  semRelease,
  semRenew,
  semWaitForLock,
  waitForLock,
} from '../dropin/dflockd-client/functions.js';
export {
  type DistributedLockOptions,
  type DistributedSemaphoreOptions,
  stableHashShard,
} from '../dropin/dflockd-client/options.js';
export { SignalConnection, type SignalConnectionOptions } from '../dropin/dflockd-client/signal-connection.js';
export {
  stats,
  type Stats,
  type StatsIdleLock,
  type StatsIdleSemaphore,
  type StatsLock,
  type StatsSemaphore,
} from '../dropin/dflockd-client/stats.js';
export { currentLock } from '../locks/handle/current-lock.js';
export type { HeldGrant, LockEvent, LockEventBase, LockLostEvent } from '../locks/events/events.js';
export { type KeyValue, lockKey } from '../locks/options/lock-key.js';
export { LockClient } from '../locks/lock-client.js';
export type { LockHandle } from '../locks/handle/lock-handle.js';
export type { LockTicket } from '../locks/tickets/ticket.js';
export type { LockScope, ScopeOptions, LockBodyOptions } from '../locks/lock-scope.js';
export type { AcquireOptions, TicketOptions } from '../locks/acquire/acquire-options.js';
export type {
  BackendOptions,
  LockTimes,
  LockClientDeps,
  LockClientOptions,
  LockKey,
  RemoteOptions,
  ServerAddress,
  ShardingStrategy,
} from '../locks/options/options.js';
export type { ShownBackend } from '../locks/options/choose-backend.js';
export type { ResolvedSettings, ShownOptions } from '../locks/options/resolve-options.js';
export type { Signal, SignalOptions, Signals } from '../locks/signals/signals.js';
export type { ServerStats } from '../protocol/server-stats.js';
