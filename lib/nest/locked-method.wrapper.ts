import { ConfigError } from '../common/errors.js';
import { methodToWrap } from './decorated-method.guard.js';
import { MESSAGES } from './dflockd.messages.js';
import { refuseLiveResult } from './live-result.guard.js';
import { planOf, type LockPlan } from './lock-plan.js';
import { holderOf, registerLockedMethod } from './locked-method.registry.js';
import { disguise } from './method-metadata.js';
import type { PlanRunner } from './service-holder.js';

/** Checks a decorator's own arguments and turns them into the options of `@WithLock`. */
type Specialise = (where: string, key: unknown, options: unknown) => unknown;

/**
 * The decorator behind all lock decorators. It wraps when the class is defined: interceptors would only reach request
 * handlers, and whoever patches methods at bootstrap comes after routes and cron jobs have been registered.
 */
export function lockMethod(
  decorator: string,
  key: unknown,
  options: unknown,
  specialise: Specialise = (_where, _key, same) => same,
): MethodDecorator {
  return (target, property, descriptor) => {
    const { name, original } = methodToWrap(decorator, target, property, descriptor);
    const plan = planOf(decorator, name, key, specialise(`${decorator} on ${name}`, key, options));

    async function locked(this: unknown, ...args: unknown[]): Promise<unknown> {
      const self = this as object;
      return runnerFor(self, plan).run(plan, self, args, async () => {
        const result = (await Reflect.apply(original, self, args)) as unknown;
        refuseLiveResult(name, result);
        return result;
      });
    }
    disguise(locked, original);
    registerLockedMethod(target, property, plan);
    (descriptor as PropertyDescriptor).value = locked;
  };
}

/** @throws ConfigError naming the cure, where the call cannot reach a module. Never runs unlocked. */
function runnerFor(self: unknown, plan: LockPlan): PlanRunner {
  if ((typeof self !== 'object' && typeof self !== 'function') || self === null) {
    throw new ConfigError(MESSAGES.detached(plan.method));
  }
  const holder = holderOf(self, plan.instance);
  if (!holder) throw new ConfigError(MESSAGES.unreachable(plan.method, plan.instance));
  return holder.runnerFor(plan);
}
