/** Locks without Nest: `nestjs-dflockd/client`. */
export type {
  AcquireRequest,
  Capabilities,
  Grant,
  LinkEvent,
  LockBackend,
  Owner,
  Pending,
  Place,
  Proof,
  Released,
  SignalTaker,
  Waiter,
} from '../backends/backend.js';
export type { EmbeddedConfig } from '../backends/embedded-config.js';
export type { Endpoint, RemoteConfig } from '../client/config.js';
export * from '../common/errors.js';
export type { Clock, Entropy, Ms, Timer } from '../common/system.js';
export type { ConnectOptions } from '../dropin/dial.js';
export type { DistributedHold } from '../dropin/distributed-hold.js';
export { DistributedLock } from '../dropin/distributed-lock.js';
export { DistributedSemaphore } from '../dropin/distributed-semaphore.js';
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
} from '../dropin/functions.js';
export { type DistributedLockOptions, type DistributedSemaphoreOptions, stableHashShard } from '../dropin/options.js';
export { SignalConnection, type SignalConnectionOptions } from '../dropin/signal-connection.js';
export {
  stats,
  type Stats,
  type StatsIdleLock,
  type StatsIdleSemaphore,
  type StatsLock,
  type StatsSemaphore,
} from '../dropin/stats.js';
export { currentLock } from '../locks/current-lock.js';
export type { HeldGrant, LockEvent, LockEventBase, LockLostEvent } from '../locks/events.js';
export { type KeyValue, lockKey } from '../locks/keys.js';
export { LockClient, type WithLockOptions } from '../locks/lock-client.js';
export type { LockHandle } from '../locks/lock-handle.js';
export type { LockTicket } from '../locks/lock-ticket.js';
export type { LockScope, ScopeOptions } from '../locks/lock-scope.js';
export type {
  AcquireOptions,
  BackendOptions,
  Defaults,
  EmbeddedOptions,
  LockClientDeps,
  LockClientOptions,
  LockKey,
  RemoteOptions,
  ServerAddress,
  ShardingStrategy,
  TicketOptions,
} from '../locks/options.js';
export type { ResolvedSettings, ShownOptions } from '../locks/resolve-options.js';
export type { Signal, SignalOptions, Signals } from '../locks/signals.js';
export type { ServerStats } from '../locks/server-stats.js';
export type { Kind as LockKind } from '../protocol/messages.js';
