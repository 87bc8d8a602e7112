import { refuseOtherLayouts } from '../common/copies.js';
import { ConfigError } from '../common/errors.js';
import { MESSAGES } from './dflockd.messages.js';
import type { LockPlan } from './lock-plan.js';
import { holderOf } from './locked-method.registry.js';
import type { PlanRunner } from './service-holder.js';

/** @throws ConfigError naming the cure, where a call on `self` cannot reach a module. Nothing ever runs unlocked. */
export function runnerFor(self: unknown, plan: LockPlan): PlanRunner {
  if ((typeof self !== 'object' && typeof self !== 'function') || self === null) {
    throw new ConfigError(MESSAGES.detached(plan.method));
  }
  const holder = holderOf(self, plan.instance);
  if (!holder) refuseOtherLayouts();
  if (!holder) throw new ConfigError(MESSAGES.unreachable(plan.method, plan.instance));
  return holder.runnerFor(plan);
}
