import { UseInterceptors, type ExecutionContext } from '@nestjs/common';
import { ConfigError } from '../common/errors.js';
import type { Defaults, LockKey } from '../locks/options.js';
import { checkNames, checkObject, wrong } from '../locks/option-checks.js';
import { methodToWrap } from './decorated-method.guard.js';
import { located, MESSAGES } from './dflockd.messages.js';
import { LockInterceptor } from './lock.interceptor.js';
import { planOf, type LockPlan } from './lock-plan.js';
import { addRequestPlan, requestPlansOn } from './request-plans.js';

export interface LockRequestOptions extends Defaults {
  /** The only way: whoever sent the request is told (HTTP 423). */
  onBusy?: 'throw';
  /** How many may hold the key at once. A semaphore of a name does not exclude a lock of the same name. Default 1: a lock. */
  limit?: number;
  /** The `instance` given to `forRoot`. Default: the one without a name. */
  instance?: string;
}

const KNOWN = ['onBusy', 'limit', 'instance', 'acquireTimeoutS', 'leaseTtlS'];
const NAME = '@LockRequest';

/**
 * Runs a request under a lock whose key is known from the request: taken after the guards and before the pipes, held until
 * the handler has settled and the response has closed (over HTTP, and GraphQL over HTTP; elsewhere until the handler has
 * settled). For handlers of requests only: HTTP, messages, WebSocket, GraphQL. On a class it is for all of its handlers; a
 * lock of the class and one of the method are both held. Handlers of one request that ask for the same key share it.
 *
 * @param key a function of the ExecutionContext that returns a key or a list; `lockKey` refuses values that are missing
 * @throws ConfigError when the class is defined, or at start, where it could not work. The request fails with
 * AcquireTimeoutError (busy), LockLostError (also if the handler has succeeded), LockKeyError and so on.
 *
 * @example
 * ```ts
 * @Post('import')
 * @UseGuards(LoggedIn) // sets request.user
 * @LockRequest((context) => lockKey`tenant:${context.switchToHttp().getRequest().user.tenantId}`)
 * import(@Res() response: Response) { … }
 * ```
 */
export function LockRequest(
  key: (context: ExecutionContext) => LockKey,
  options: LockRequestOptions = {},
): ClassDecorator & MethodDecorator {
  return (target: object, property?: string | symbol, descriptor?: PropertyDescriptor) => {
    if (typeof property === 'object') throw new ConfigError(MESSAGES.standardDecorator(NAME));
    const [name, subject] =
      property === undefined
        ? [(target as { name: string }).name, target]
        : [methodToWrap(NAME, target, property, descriptor).name, descriptor!.value as object];
    const plan = requestPlan(name, key, options);
    // Decorators run from below: the upper lock is the outer one.
    const isFirst = requestPlansOn(subject).length === 0;
    addRequestPlan(subject, plan);
    if (!isFirst) return;
    if (descriptor && property !== undefined) UseInterceptors(LockInterceptor)(target, property, descriptor);
    else UseInterceptors(LockInterceptor)(target as () => unknown);
  };
}

function requestPlan(name: string, key: unknown, options: unknown): LockPlan {
  located(`${NAME} on ${name}`, () => {
    if (typeof key !== 'function') throw wrong('key', 'a function of the ExecutionContext', key);
    const given = checkObject('options', options);
    checkNames('', given, KNOWN);
    if (given.onBusy !== undefined && given.onBusy !== 'throw') throw wrong('onBusy', "'throw'", given.onBusy);
  });
  return planOf(NAME, name, key, options);
}
