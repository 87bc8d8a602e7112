import { resultAfter } from '../../locks/lock-scope.js';
import type { AnyFunction } from './decorated-method.js';
import { refuseLiveResult } from './refused-method-results.js';
import type { LockPlan } from './lock-plan.js';
import { holdWhileRead, streamIn } from './locked-stream.js';
import { runnerFor } from './runner-lookup.js';
import { BusyResult } from './service-ref.js';

/** A method that settles: locked until then or, if its result is a stream, until that has been read. */
export function lockedPromise(plan: LockPlan, original: AnyFunction): AnyFunction {
  return async function locked(this: unknown, ...args: unknown[]): Promise<unknown> {
    const scope = await runnerFor(this, plan).enter(plan, this, args);
    if (scope instanceof BusyResult) return scope.value;
    let value: unknown;
    try {
      value = await scope.run(() => Reflect.apply(original, this, args) as unknown);
      refuseLiveResult(plan.method, value);
    } catch (error) {
      await scope.leave();
      throw error;
    }
    const stream = streamIn(value);
    if (stream) return holdWhileRead(plan, scope, stream, value);
    return resultAfter(await scope.leave(), plan.onLost, value);
  };
}
