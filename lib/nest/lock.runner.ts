import { AcquireTimeoutError, MaxWaitersError, NestedLockError } from '../common/errors.js';
import type { LockClient } from '../locks/lock-client.js';
import type { LockKey } from '../locks/options.js';
import type { LockPlan } from './lock-plan.js';
import { type CallScope, Instead, type PlanRunner } from './service-holder.js';

const isBusy = (error: unknown): error is AcquireTimeoutError =>
  error instanceof AcquireTimeoutError || error instanceof MaxWaitersError;

/** Takes the locks of locked methods from a client: what the options mean before the method runs. */
export class LockRunner implements PlanRunner {
  constructor(private readonly client: LockClient) {}

  // Not an async function: every locked call would pay for it.
  enter(plan: LockPlan, self: unknown, args: readonly unknown[], signal?: AbortSignal): Promise<CallScope | Instead> {
    const key = plan.key(self, args);
    const { at, joins } = plan;
    return this.client
      .open(key, signal ? { ...plan.scope, signal } : plan.scope, at && { self, method: at, joins })
      .catch(async (error: unknown) => new Instead(await this.busy(plan, self, args, key, error)));
  }

  private busy(plan: LockPlan, self: unknown, args: readonly unknown[], key: LockKey, error: unknown): unknown {
    const { onBusy } = plan;
    if (onBusy === 'skip' && (isBusy(error) || error instanceof NestedLockError)) {
      this.client.noteSkipped(key);
      return undefined;
    }
    if (typeof onBusy === 'function' && isBusy(error)) return Reflect.apply(onBusy, self, [error, ...args]);
    throw error;
  }
}
