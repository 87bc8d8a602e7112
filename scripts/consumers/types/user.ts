// User code that uses the types of the package: compiled with declarations, by every TypeScript that is supported.
import { applyDecorators, Module, SetMetadata } from '@nestjs/common';
import * as root from 'nestjs-dflockd';
import { CronLock, DflockdModule, DflockdService, InjectDflockd, lockKey, LockRequest, WithLock } from 'nestjs-dflockd';
import type {
  DflockdModuleAsyncOptions,
  DflockdModuleOptions,
  DflockdOptionsFactory,
  LockHandle,
} from 'nestjs-dflockd';
import * as client from 'nestjs-dflockd/client';
import type {
  AcquireOptions,
  DistributedSemaphoreOptions,
  LockClientOptions,
  RemoteOptions,
} from 'nestjs-dflockd/client';
import * as daemon from 'nestjs-dflockd/daemon';
import * as lockd from 'nestjs-dflockd/lockd';
import * as testing from 'nestjs-dflockd/testing';
import type { Observable } from 'rxjs';

// Custom decorators, whose types the compiler infers and writes into the declarations.
export const OrderLock = () => WithLock('order:{0}');
export const PatientLock = (acquireTimeoutS: number | undefined) =>
  WithLock('order:{0}', { acquireTimeoutS, onBusy: 'throw' });
export const Nightly = (name: string) => CronLock(name, { minHoldS: 30, maxHoldS: undefined });
export const TenantLock = () => LockRequest((context) => lockKey`tenant:${context.getClass().name}`);
export const Audited = () => applyDecorators(SetMetadata('audited', true), WithLock('order:{0}'));
export const Injected = (instance: string) => InjectDflockd(instance);
export function LockedBy<const S extends string>(template: S) {
  return WithLock<object, (id: string) => Promise<void>, S>(template);
}

// Types of what functions of the package return, and of members of its classes.
export const moduleOf = (options: DflockdModuleOptions) => DflockdModule.forRoot(options);
export const moduleLater = (options: DflockdModuleAsyncOptions) => DflockdModule.forRootAsync(options);
export const capabilities = (locks: DflockdService) => locks.capabilities;
export const events = (locks: DflockdService) => ({ all: locks.events$, lost: locks.lockLost$, stats: locks.stats() });
export const ticket = (locks: DflockdService) => locks.enqueue('k');
export const held = (locks: DflockdService) => locks.withLock('k', (lock) => lock.grants);
export const makeClient = () => new client.LockClient({ embedded: true });
export const shown = () => makeClient().options;
export const entered = () => makeClient().enter('k');
export const ofClient = (own: client.LockClient) => ({
  signals: own.signals,
  lost: own.lockLost$,
  events: own.events$,
});
export const place = (...args: Parameters<typeof client.enqueue>) => client.enqueue(...args);
export const asked = () => client.stats();
export const semaphore = (options: DistributedSemaphoreOptions) => new client.DistributedSemaphore(options);
export const connection = () => client.SignalConnection.connect();
export const server = () => new daemon.DflockdServer();
export const served = (own: daemon.DflockdServer) => ({ options: own.options, port: own.listen() });
export const locksOfTests = () => new testing.TestLocks();
export const heldInTests = (locks: testing.TestLocks) => ({ held: locks.held(), service: locks.service });
export const testModule = (locks: testing.TestLocks) => locks.module();
export const ofLockd = (own: lockd.LockdClient) => ({ got: own.get('k'), locks: own.dump(), name: own.getName() });
export const everything = { root, client, daemon, lockd, testing };

// Options that may be undefined.
const none = undefined;
export const seconds = { acquireTimeoutS: none, leaseTtlS: none };
export const remote: RemoteOptions = {
  tls: none, auth: none, shardingStrategy: none, connectTimeoutMs: none, requestTimeoutMs: none, readTimeoutS: none,
  renewRatio: none, reconnect: { minDelayMs: none, maxDelayMs: none }, autoRelease: none, commandLanes: none,
  maxWaitLanes: none, waitersPerKey: none, fencing: none,
}; // prettier-ignore
export const ofClients: LockClientOptions[] = [
  { ...seconds, namespace: none, startup: none, shutdownTimeoutS: none, maxHoldS: none, servers: none, remote },
  { embedded: { listen: none, maxLocks: none, authToken: none }, servers: none, remote: none, backend: none },
];
export const ofModule: DflockdModuleOptions = { exceptionFilter: none, logger: none, remote: none, embedded: none };
export const ofFactory: DflockdModuleAsyncOptions = {
  instance: none, isGlobal: none, imports: none, inject: none, useClass: none, useExisting: none,
  useFactory: () => ofModule,
}; // prettier-ignore
export const acquire: AcquireOptions = {
  ...seconds, limit: none, signal: none, autoRenew: none, requireFence: none, onNested: none,
}; // prettier-ignore
export const dropIn: DistributedSemaphoreOptions = {
  key: 'k', limit: 3, ...seconds, servers: none, host: none, port: none, shardingStrategy: none, renewRatio: none,
  tls: none, auth: none, onLockLost: none, connectTimeoutMs: none, socketTimeoutMs: none,
}; // prettier-ignore
export const ofDaemon: daemon.DflockdServerOptions = { host: none, port: none, tlsCert: none, tlsKey: none };
export const ofTests: testing.TestLocksOptions = {
  ...seconds,
  namespace: none,
  shutdownTimeoutS: none,
  maxHoldS: none,
};
export const hostOf = (own: daemon.DflockdServer): string => own.options.host;

// Things that users implement.
export class Options implements DflockdOptionsFactory {
  createDflockdOptions(): DflockdModuleOptions {
    return { embedded: true };
  }
}
@Module({ imports: [DflockdModule.forRootAsync({ useClass: Options }), DflockdModule.forRoot({ embedded: true })] })
export class AppModule {}

export interface Order {
  id: string;
  note?: string;
}

export class Orders {
  constructor(@InjectDflockd() readonly locks: DflockdService) {}

  @OrderLock() async ship(id: string): Promise<string> {
    return id;
  }
  @PatientLock(none) async pay(id: string): Promise<void> {
    await this.ship(id);
  }
  @Audited() async audit(_id: string): Promise<void> {}
  @LockedBy('order:{0}') async cancel(_id: string): Promise<void> {}
  @Nightly('report') async report(): Promise<void> {}
  @TenantLock() list(): number[] {
    return [];
  }
  @WithLock('order:{0.id}:{1}') async one(_order: Order, _line: number): Promise<void> {}
  @WithLock(['from:{0}', 'to:{1}']) async move(_from: string, _to: string): Promise<void> {}
  @WithLock((order) => order.id, { onLost: none, onNested: none, signal: none, limit: none, minHoldS: none })
  async two(_order: Order): Promise<void> {}
  @WithLock('k', { onBusy: 'skip', ...seconds, maxHoldS: none, instance: none })
  async skipped(): Promise<number | undefined> {
    return 1;
  }
  @WithLock('k', { returns: 'observable' }) stream(source: Observable<number>): Observable<number> {
    return source;
  }
  async byHand(): Promise<number> {
    const lock: LockHandle = await this.locks.acquire(['a', 'b'], acquire);
    await lock.release();
    return this.locks.withLock('k', { onLost: none, minHoldS: none }, async () => lock.remainingMs);
  }
}

// The compiler reports mistakes.
export class Mistakes {
  // @ts-expect-error there is no second argument
  @WithLock('order:{1}') async beyond(_id: string): Promise<void> {}
  // @ts-expect-error an order is no text
  @WithLock('order:{0}') async object(_order: Order): Promise<void> {}
  // @ts-expect-error there is no such property
  @WithLock('order:{0.di}') async misspelt(_order: Order): Promise<void> {}
  // @ts-expect-error the caller needs a result
  @WithLock('k', { onBusy: 'skip' }) async needed(): Promise<number> {
    return 1;
  }
  // @ts-expect-error it returns no Promise
  @WithLock('k') immediate(): number {
    return 1;
  }
  // @ts-expect-error an Observable must be said
  @WithLock('k') silent(source: Observable<number>): Observable<number> {
    return source;
  }
  // @ts-expect-error the result of a job goes nowhere
  @CronLock('job', { minHoldS: 30 }) async job(): Promise<number> {
    return 1;
  }
}
