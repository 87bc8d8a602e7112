import {
  Inject,
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  type OnModuleInit,
} from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { Observable, type Subscriber } from 'rxjs';
import { ConfigError } from '../common/errors.js';
import { shared } from '../common/shared-state.js';
import { MESSAGES } from './dflockd.messages.js';
import { visibleHolder } from './explorer.subjects.js';
import { isSse } from './handler.rules.js';
import type { LockPlan } from './lock-plan.js';
import { instancesIn } from './module-info.js';
import { responseOf } from './request-end.js';
import { requestPlansOn } from './request-plans.js';
import { RequestLock, requestLock } from './request-lock.js';
import type { CallScope, PlanRunner, ServiceHolder } from './service-holder.js';

/** Takes the locks of `@LockRequest`, which applies it. Without that decorator it does nothing. */
@Injectable()
export class LockInterceptor implements NestInterceptor, OnModuleInit {
  private readonly holders = new Map<string, Promise<ServiceHolder | undefined>>();
  /** Applied to the class and to the method, or globally, it is called more than once for a request. */
  private static readonly seen = shared('seen', () => new WeakSet<ExecutionContext>());

  constructor(
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
  ) {}

  /** @throws ConfigError in an application without DflockdModule */
  onModuleInit(): void {
    if (instancesIn(this.modules).length === 0) throw new ConfigError(MESSAGES.noModule);
  }

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const plans = LockInterceptor.seen.has(context) ? [] : plansFor(context);
    LockInterceptor.seen.add(context);
    let handle = () => next.handle() as Observable<unknown>;
    for (const plan of [...plans].reverse()) {
      const runner = await this.runnerFor(plan);
      const inner = handle;
      handle = () => locked(plan, runner, context, inner);
    }
    return handle();
  }

  private async runnerFor(plan: LockPlan): Promise<PlanRunner> {
    const { instance, method } = plan;
    if (!this.holders.has(instance)) this.holders.set(instance, visibleHolder(this.moduleRef, instance));
    const holder = await this.holders.get(instance);
    if (!holder) throw new ConfigError(MESSAGES.requestUnreachable(method, instance, instancesIn(this.modules)));
    return holder.runnerFor(plan);
  }
}

/** The locks of the class are outside those of the method. */
function plansFor(context: ExecutionContext): readonly LockPlan[] {
  return [context.getClass(), context.getHandler()].flatMap(requestPlansOn);
}

/** The rest of the request under one lock. */
function locked(
  plan: LockPlan,
  runner: PlanRunner,
  context: ExecutionContext,
  handle: () => Observable<unknown>,
): Observable<unknown> {
  return new Observable((subscriber) => {
    const key = plan.key(undefined, [context]);
    const response = responseOf(context);
    const name = JSON.stringify([plan.instance, plan.scope.limit ?? 0, key]);
    const lock = requestLock(
      response,
      name,
      () =>
        new RequestLock(
          [key].flat()[0]!,
          (signal) => runner.enter({ ...plan, key: () => key }, undefined, [context], signal) as Promise<CallScope>,
          response,
        ),
    );
    lock.enter();
    subscriber.add(() => lock.leave());
    lock.scope
      .then((scope) => follow(lock, scope, isSse(context.getHandler()), handle, subscriber))
      .catch((error: unknown) => subscriber.error(error));
  });
}

/** @param streams whether what it emits is sent at once */
function follow(
  lock: RequestLock,
  scope: CallScope,
  streams: boolean,
  handle: () => Observable<unknown>,
  subscriber: Subscriber<unknown>,
): void {
  if (subscriber.closed) return;
  if (scope.loss) throw scope.loss;
  if (streams) subscriber.add(scope.onLoss((loss) => subscriber.error(loss)));
  const source = scope.run(() =>
    handle().subscribe({
      next: (value) => subscriber.next(value),
      error: (error: unknown) => void lock.settled(scope).then(() => subscriber.error(error)),
      complete: () => void lock.settled(scope).then((loss) => (loss ? subscriber.error(loss) : subscriber.complete())),
    }),
  );
  subscriber.add(source);
}
