import { AcquireTimeoutError, MaxWaitersError, NestedLockError } from '../common/errors.js';
import type { LockClient } from '../locks/lock-client.js';
import type { LockPlan } from './lock-plan.js';
import type { PlanRunner } from './service-holder.js';

const isBusy = (error: unknown): error is AcquireTimeoutError =>
  error instanceof AcquireTimeoutError || error instanceof MaxWaitersError;

/** Runs locked methods on a client: what `@WithLock` means, apart from where it stands. */
export class LockRunner implements PlanRunner {
  constructor(private readonly client: LockClient) {}

  async run(plan: LockPlan, self: object, args: readonly unknown[], body: () => unknown): Promise<unknown> {
    const key = plan.key(self, args);
    const { acquire, onLost, onBusy, minHoldS } = plan;
    // The body may fail over a lock of its own; only a failure before it is this lock being busy.
    let entered = false;
    try {
      return await this.client.withLock(key, { ...acquire, onLost, minHoldS }, () => {
        entered = true;
        return body();
      });
    } catch (error) {
      if (entered) throw error;
      if (onBusy === 'skip' && (isBusy(error) || error instanceof NestedLockError)) {
        this.client.noteSkipped(key);
        return undefined;
      }
      if (typeof onBusy === 'function' && isBusy(error)) return await Reflect.apply(onBusy, self, [error, ...args]);
      throw error;
    }
  }
}
