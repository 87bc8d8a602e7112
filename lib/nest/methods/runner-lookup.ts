import { refuseOtherLayouts } from '../../common/copies.js';
import { ConfigError } from '../../common/errors.js';
import { MESSAGES } from '../shared/dflockd.messages.js';
import type { LockPlan } from './lock-plan.js';
import { serviceRefOf } from './locked-method.registry.js';
import { runningConstructor } from './running.constructor.js';
import type { PlanRunner } from './service-ref.js';

/** @throws ConfigError with advice, if a call on `self` cannot reach a module. Nothing ever runs unlocked. */
export function runnerFor(self: unknown, plan: LockPlan): PlanRunner {
  if ((typeof self !== 'object' && typeof self !== 'function') || self === null) {
    throw new ConfigError(MESSAGES.detached(plan.method));
  }
  const ref = serviceRefOf(self, plan.instance);
  if (!ref) refuseOtherLayouts();
  if (!ref) throw new ConfigError(whyUnreachable(self, plan));
  return ref.runnerFor(plan);
}

function whyUnreachable(self: object, { method, instance }: LockPlan): string {
  // Nest injects only into complete objects.
  const type = runningConstructor(self);
  return type === undefined ? MESSAGES.unreachable(method, instance) : MESSAGES.inConstructor(method, type);
}
