import { serviceRefToken } from '../../../lib/nest/shared/dflockd.constants.js';
import type { LockKey } from '../../../lib/locks/options/options.js';
import type { LockPlan } from '../../../lib/nest/methods/lock-plan.js';
import { ServiceRef, type CallScope, type PlanRunner } from '../../../lib/nest/methods/service-ref.js';

/** Notes the keys that locked methods ask for, and runs them without a lock. */
export class KeyRecorder implements PlanRunner {
  readonly keys: LockKey[] = [];
  readonly plans: LockPlan[] = [];
  left = 0;

  check(): void {
    // Whatever they ask for.
  }

  async enter(plan: LockPlan, self: unknown, args: readonly unknown[]): Promise<CallScope> {
    this.plans.push(plan);
    this.keys.push(plan.key(self, args));
    let leaving: Promise<undefined> | undefined;
    const leave = async () => void this.left++;
    return {
      run: (part) => part(),
      leave: () => (leaving ??= leave()),
      settle: async () => undefined,
      loss: undefined,
      onLoss: () => () => undefined,
    };
  }
}

/** Gives an object what Nest would inject. */
export function attach<T extends object>(object: T, runner: PlanRunner, instance = 'default'): T {
  const ref = new ServiceRef();
  ref.fill(runner);
  return Object.assign(object, { [serviceRefToken(instance)]: ref });
}
