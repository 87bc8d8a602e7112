import { UseInterceptors, type ExecutionContext } from '@nestjs/common';
import { ConfigError } from '../../common/errors.js';
import type { LockTimes, LockKey } from '../../locks/options/options.js';
import { checkNames, checkObject, wrong } from '../../common/option-checks.js';
import { methodToWrap } from '../methods/decorated-method.js';
import { located, MESSAGES } from '../shared/dflockd.messages.js';
import { LockInterceptor } from '../requests/lock.interceptor.js';
import { planOf } from '../methods/lock-plan.js';
import { trackedHandler } from '../requests/tracked-handler.js';
import { addRequestPlan, requestPlansOn, type RequestLockPlan } from '../requests/request-plans.js';

export interface LockRequestOptions extends LockTimes {
  /** The only choice: the sender of the request gets an error (HTTP 423). */
  onBusy?: 'throw' | undefined;
  /**
   * Makes the key a semaphore: how many requests may hold it at once. A semaphore does not exclude a lock of the same
   * name. Default: none; the key is a lock.
   */
  limit?: number | undefined;
  /**
   * - `'response'` (default): the lock is held until the response is over: all of it has been handed to the network, or
   *   the connection is closed. A client that reads slowly, or not at all, keeps the lock, so set `maxHoldS` too.
   * - `'handler'`: until the handler has settled, whatever remains to be sent.
   *
   * In both cases the lock outlasts the handler: a client that disconnects does not end it while the handler runs.
   */
  until?: 'response' | 'handler' | undefined;
  /**
   * Seconds after the grant at which the request loses its lock (reason `overdue`), above 0. In a handler that still
   * runs, `currentLock()?.signal` aborts, and the response is 503 once it settles; a response that is being sent is cut
   * off. Default: the module's `maxHoldS`. Handlers that share a lock have the limit of the first.
   */
  maxHoldS?: number | undefined;
  /** The `instance` given to `forRoot`. Default: the one without a name. */
  instance?: string | undefined;
}

const KNOWN = ['onBusy', 'limit', 'until', 'maxHoldS', 'instance', 'acquireTimeoutS', 'leaseTtlS'];
const NAME = '@LockRequest';

/**
 * Runs a request under a lock whose key is derived from the request. The lock is acquired after the guards and before
 * the pipes, and held until the handler has settled and the response is over. (The response counts over HTTP, and for
 * GraphQL over HTTP; on other transports, and with `until: 'handler'`, only the handler counts.) For request handlers
 * only: HTTP, messages, WebSocket, GraphQL. On a class it applies to all of its handlers; a lock of the class and one of
 * the method are both held. Handlers of one request that ask for the same key share the lock.
 *
 * @param key a function of the ExecutionContext that returns a key or a list; `lockKey` throws for missing values
 * @throws ConfigError when the class is defined, or at startup, if it could not work. The request fails with
 * AcquireTimeoutError (busy), LockLostError (even if the handler has succeeded), LockKeyError and so on.
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
    const method = property === undefined ? undefined : methodToWrap(NAME, target, property, descriptor);
    const plan = requestPlan(method?.name ?? (target as { name: string }).name, key, options);
    // Handlers of a class are tracked by the module, which knows inherited ones and those of subclasses.
    const subject: object = method ? (descriptor!.value = trackedHandler(method.original)) : target;
    // Decorators are applied from the bottom: the upper lock is the outer one.
    const isFirst = requestPlansOn(subject).length === 0;
    addRequestPlan(subject, plan);
    if (!isFirst) return;
    if (descriptor && property !== undefined) UseInterceptors(LockInterceptor)(target, property, descriptor);
    else UseInterceptors(LockInterceptor)(target as () => unknown);
  };
}

function requestPlan(name: string, key: unknown, options: unknown): RequestLockPlan {
  const { until, ...rest } = located(`${NAME} on ${name}`, () => {
    if (typeof key !== 'function') throw wrong('key', 'a function of the ExecutionContext', key);
    const given = checkObject('options', options);
    checkNames('', given, KNOWN);
    if (given.onBusy !== undefined && given.onBusy !== 'throw') throw wrong('onBusy', "'throw'", given.onBusy);
    const { until = 'response', ...others } = given;
    if (until !== 'response' && until !== 'handler') throw wrong('until', "'response' or 'handler'", until);
    return { until, ...others } as const;
  });
  return { ...planOf(NAME, name, key, rest), until };
}
