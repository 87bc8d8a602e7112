import { eitherSignal } from '../../common/abort.js';
import { withOrigin } from '../../common/error-origin.js';
import type { LockClient } from '../../locks/lock-client.js';
import { isSignal } from '../../locks/acquire/checked-acquire.js';
import { holdTimes } from '../../locks/handle/minimum-hold.js';
import type { LockKey } from '../../locks/options/options.js';
import type { LockPlan } from './lock-plan.js';
import { type Call, resultWhenBusy } from './on-busy.js';
import { type CallScope, BusyResult, type PlanRunner } from './service-ref.js';

/**
 * Acquires the locks of locked methods from a client and applies the options that take effect before the method runs.
 */
export class LockRunner implements PlanRunner {
  constructor(private readonly client: LockClient<unknown>) {}

  check({ scope: { minHoldS, maxHoldS } }: LockPlan): void {
    holdTimes(minHoldS, maxHoldS, this.client.options.maxHoldMs);
  }

  // Not an async function, which every locked call would pay for.
  enter(
    plan: LockPlan,
    self: unknown,
    args: readonly unknown[],
    signal?: AbortSignal,
  ): Promise<CallScope | BusyResult> {
    let key: LockKey;
    try {
      key = plan.key(self, args);
    } catch (error) {
      throw withOrigin(error, this.client.origin);
    }
    if (plan.signal) return this.enterUntil(plan, { self, args, key, own: signal });
    return this.take(plan, { self, args, key }, signal);
  }

  /** Waits until the caller's own or the plan's signal aborts. */
  private async enterUntil(
    plan: LockPlan,
    call: Call & { own: AbortSignal | undefined },
  ): Promise<CallScope | BusyResult> {
    const { self, args, own } = call;
    const its = Reflect.apply(plan.signal!, self, args) as AbortSignal | undefined;
    // The client refuses a value that is not a signal.
    if (!own || !isSignal(its)) return this.take(plan, call, its ?? own);
    const both = eitherSignal(its, own);
    try {
      return await this.take(plan, call, both.signal);
    } finally {
      both.forget();
    }
  }

  private take(plan: LockPlan, call: Call, signal: AbortSignal | undefined): Promise<CallScope | BusyResult> {
    const { at, joins } = plan;
    return this.client
      .open(
        call.key,
        signal === undefined ? plan.scope : { ...plan.scope, signal },
        at && { self: call.self, method: at, joins },
      )
      .catch(async (error: unknown) => new BusyResult(await resultWhenBusy(this.client, plan, call, error)));
  }
}
