import { refuseOtherLayouts } from '../../common/copies.js';
import { ConfigError } from '../../common/errors.js';
import { MESSAGES } from '../shared/dflockd.messages.js';
import type { LockPlan } from './lock-plan.js';
import { holderOf } from './locked-method.registry.js';
import { runningConstructor } from './running.constructor.js';
import type { PlanRunner } from './service-holder.js';

/** @throws ConfigError naming the cure, where a call on `self` cannot reach a module. Nothing ever runs unlocked. */
export function runnerFor(self: unknown, plan: LockPlan): PlanRunner {
  if ((typeof self !== 'object' && typeof self !== 'function') || self === null) {
    throw new ConfigError(MESSAGES.detached(plan.method));
  }
  const holder = holderOf(self, plan.instance);
  if (!holder) refuseOtherLayouts();
  if (!holder) throw new ConfigError(whyUnreachable(self, plan));
  return holder.runnerFor(plan);
}

function whyUnreachable(self: object, { method, instance }: LockPlan): string {
  // Nest injects into objects that are complete.
  const type = runningConstructor(self);
  return type === undefined ? MESSAGES.unreachable(method, instance) : MESSAGES.inConstructor(method, type);
}
