/** `nestjs-dflockd`: the Nest module and everything that its users import. */
export * from '../common/errors.js';
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
export type { Clock, Entropy, Ms, Timer } from '../common/system.js';
export type { EmbeddedOptions } from '../backends/embedded/options.js';
export type { HttpServerOptions } from '../daemon/shared/http-options.js';
export type { DflockdServerOptions } from '../daemon/shared/options.js';
export { currentLock } from '../locks/handle/current-lock.js';
export type { HeldGrant, LockEvent, LockEventBase, LockLostEvent } from '../locks/events/events.js';
export { type KeyValue, lockKey } from '../locks/options/lock-key.js';
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
export type { Signal, SignalOptions } from '../locks/signals/signals.js';
export type { ServerStats } from '../protocol/server-stats.js';
export { CronLock, type CronLockOptions } from '../nest/decorators/cron-lock.decorator.js';
export { DflockdModule } from '../nest/dflockd.module.js';
export type {
  DflockdModuleAsyncOptions,
  DflockdModuleOptions,
  DflockdOptionsFactory,
  DflockdModuleExtras,
} from '../nest/dflockd.options.js';
export { DflockdService } from '../nest/dflockd.service.js';
export { DflockdSignals, getDflockdSignalsToken } from '../nest/dflockd.signals.js';
export { getDflockdToken } from '../nest/dflockd.token.js';
export { InjectDflockd } from '../nest/decorators/inject-dflockd.decorator.js';
export { InjectDflockdSignals } from '../nest/decorators/inject-dflockd-signals.decorator.js';
export { LockInterceptor } from '../nest/requests/lock.interceptor.js';
export { LockRequest, type LockRequestOptions } from '../nest/decorators/lock-request.decorator.js';
export { lockErrorResponse, type LockErrorResponse } from '../nest/errors/lock-error-response.js';
export type { LockErrorStatuses } from '../nest/errors/lock-error-statuses.js';
export { LockExceptionFilter } from '../nest/errors/lock-exception.filter.js';
export { WithLock } from '../nest/decorators/with-lock.decorator.js';
export type {
  AnyMethod,
  BadPaths,
  IsAny,
  KeyOf,
  LockableResult,
  LockDecorator,
  WithLockArgs,
  PropertyAt,
  SkipOf,
  Template,
  TemplatePaths,
  ValueAt,
  WithLockOptions,
} from '../nest/methods/with-lock.types.js';
