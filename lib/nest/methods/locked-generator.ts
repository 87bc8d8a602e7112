import { resultAfter } from '../../locks/lock-scope.js';
import type { AnyFunction } from './decorated-method.js';
import type { LockPlan } from './lock-plan.js';
import { runnerFor } from './runner-lookup.js';
import { type CallScope, BusyResult } from './service-ref.js';

type Steps = AsyncGenerator<unknown, unknown, unknown>;

/** An async generator: locked from the first `next()` until it is done, returns or throws. */
export function lockedGenerator(plan: LockPlan, original: AnyFunction): AnyFunction {
  return async function* locked(this: unknown, ...args: unknown[]): Steps {
    const scope = await runnerFor(this, plan).enter(plan, this, args);
    if (scope instanceof BusyResult) return yield* scope.value as Steps;
    let loss;
    let value: unknown;
    try {
      value = yield* under(
        plan,
        scope,
        scope.run(() => Reflect.apply(original, this, args) as Steps),
      );
    } finally {
      loss = await scope.leave();
    }
    return resultAfter(loss, plan.onLost, value);
  };
}

/** The same steps, each with the lock as the current one, and none after its loss. */
function under(plan: LockPlan, scope: CallScope, steps: Steps): AsyncIterable<unknown, unknown, unknown> {
  const failIfLost = async (settled?: { value: unknown }): Promise<void> => {
    const { loss } = scope;
    if (!loss || plan.onLost === 'ignore') return;
    // Close what the generator has open; its errors do not matter, because the loss does.
    await scope.run(() => steps.return(undefined)).catch(() => undefined);
    if (settled) loss.settle(settled);
    throw loss;
  };
  const iterator: AsyncIterator<unknown, unknown, unknown> = {
    async next(...sent) {
      await failIfLost();
      const step = await scope.run(() => steps.next(...(sent as [unknown])));
      if (!step.done) await failIfLost({ value: step.value });
      return step;
    },
    return: (value) => scope.run(() => steps.return(value)),
    throw: (error) => scope.run(() => steps.throw(error)),
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
