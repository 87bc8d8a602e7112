import {
  Inject,
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  type OnModuleInit,
} from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { defer, Observable, type Subscriber } from 'rxjs';
import { named } from '../../common/brand.js';
import { ConfigError } from '../../common/errors.js';
import { MESSAGES } from '../shared/dflockd.messages.js';
import { currentRun, HandlerRun } from './handler-run.js';
import { isSse } from '../methods/method-metadata.js';
import { visibleServiceRef } from '../methods/visible-service-ref.js';
import { instancesIn } from '../shared/module-info.js';
import { responseOf } from './response.js';
import { requestPlansOn, type RequestLockPlan } from './request-plans.js';
import { RequestLock, requestLock } from './request-lock.js';
import { isTracked } from './tracked-handler.js';
import type { CallScope, PlanRunner, ServiceRef } from '../methods/service-ref.js';

/** What a request asks for, and the runner that acquires it. */
interface Lock {
  readonly plan: RequestLockPlan;
  readonly runner: PlanRunner;
}

/**
 * Acquires the locks of `@LockRequest`, which applies it; RequestLock decides when they are released. Without that
 * decorator it does nothing.
 */
@Injectable()
export class LockInterceptor implements NestInterceptor, OnModuleInit {
  private readonly refs = new Map<string, Promise<ServiceRef | undefined>>();

  constructor(
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
  ) {}

  /** @throws ConfigError in an application without DflockdModule */
  onModuleInit(): void {
    if (instancesIn(this.modules).length === 0) throw new ConfigError(MESSAGES.noModule);
  }

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    // Applied to both the class and the method, or globally, it is called again inside its own run. A run that another
    // interceptor repeats (a retry) acquires the locks anew.
    const plans = currentRun()?.isOf(context) ? [] : plansFor(context);
    if (plans.length === 0) return next.handle() as Observable<unknown>;
    const locks: readonly Lock[] = await Promise.all(
      plans.map(async (plan) => ({ plan, runner: await this.runnerFor(plan) })),
    );
    // Each subscription runs the handler again.
    return defer(() => {
      const run = new HandlerRun(context, next, isTracked(context.getHandler()) || isSse(context.getHandler()));
      const under = (handle: () => Observable<unknown>, lock: Lock) => () => locked(lock, context, run, handle);
      return locks.reduceRight(under, () => run.start())();
    });
  }

  private async runnerFor(plan: RequestLockPlan): Promise<PlanRunner> {
    const { instance, method } = plan;
    if (!this.refs.has(instance)) this.refs.set(instance, visibleServiceRef(this.moduleRef, instance));
    const ref = await this.refs.get(instance);
    if (!ref) throw new ConfigError(MESSAGES.requestUnreachable(method, instance, instancesIn(this.modules)));
    return ref.runnerFor(plan);
  }
}

named(LockInterceptor, 'LockInterceptor');

/** The locks of the class are outside those of the method. */
function plansFor(context: ExecutionContext): readonly RequestLockPlan[] {
  return [context.getClass(), context.getHandler()].flatMap(requestPlansOn);
}

/** Runs the rest of the request under one lock. */
function locked(
  { plan, runner }: Lock,
  context: ExecutionContext,
  run: HandlerRun,
  handle: () => Observable<unknown>,
): Observable<unknown> {
  return new Observable((subscriber) => {
    const key = plan.key(undefined, [context]);
    const response = responseOf(context);
    const name = JSON.stringify([plan.instance, plan.scope.limit ?? 0, key]);
    const lock = requestLock(
      response,
      name,
      (ended) =>
        new RequestLock(
          [key].flat()[0]!,
          (signal) => runner.enter({ ...plan, key: () => key }, undefined, [context], signal) as Promise<CallScope>,
          response,
          ended,
        ),
    );
    const streams = isSse(context.getHandler());
    lock.enter(plan.until, streams);
    subscriber.add(() => run.afterwards(() => lock.leave()));
    lock.scope
      .then((scope) => follow(lock, scope, { run, handle, streams }, subscriber))
      .catch((error: unknown) => subscriber.error(error));
  });
}

/** Work under a lock. */
interface Work {
  readonly run: HandlerRun;
  handle(this: void): Observable<unknown>;
  /** Whether what it emits is sent immediately. */
  readonly streams: boolean;
}

function follow(
  lock: RequestLock,
  scope: CallScope,
  { run, handle, streams }: Work,
  subscriber: Subscriber<unknown>,
): void {
  if (subscriber.closed) return;
  if (scope.loss) throw scope.loss;
  if (streams) subscriber.add(scope.onLoss((loss) => subscriber.error(loss)));
  const source = scope.run(() =>
    handle().subscribe({
      next: (value) => subscriber.next(value),
      error: (error: unknown) => void lock.settled(scope, run.isBusy).then(() => subscriber.error(error)),
      complete: () =>
        void lock.settled(scope, run.isBusy).then((loss) => (loss ? subscriber.error(loss) : subscriber.complete())),
    }),
  );
  subscriber.add(source);
}
