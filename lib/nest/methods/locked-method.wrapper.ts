import { methodToWrap, type AnyFunction } from './decorated-method.js';
import { planOf, type LockPlan } from './lock-plan.js';
import { lockedGenerator } from './locked-generator.js';
import { registerLockedMethod } from './locked-method.registry.js';
import { lockedObservable } from './locked-observable.js';
import { lockedPromise } from './locked-promise.js';
import { copyMetadata } from './method-metadata.js';

/** Checks a decorator's own arguments and turns them into the options of `@WithLock`. */
type Specialise = (where: string, key: unknown, options: unknown) => unknown;

/**
 * The base of all lock decorators. It wraps the method when the class is defined: interceptors would only reach request
 * handlers, and patching methods at bootstrap would come after routes and cron jobs have been registered.
 */
export function lockMethod(
  decorator: string,
  key: unknown,
  options: unknown,
  specialise: Specialise = (_where, _key, same) => same,
): MethodDecorator {
  return (target, property, descriptor) => {
    const { name, original, generates } = methodToWrap(decorator, target, property, descriptor);
    const where = `${decorator} on ${name}`;
    const at = { prototype: target, property };
    const plan = planOf(decorator, name, key, specialise(where, key, options), generates, at);
    const locked = SHAPES[plan.returns](plan, original);
    copyMetadata(locked, original);
    registerLockedMethod(target, property, plan);
    (descriptor as PropertyDescriptor).value = locked;
  };
}

const SHAPES: Record<LockPlan['returns'], (plan: LockPlan, original: AnyFunction) => AnyFunction> = {
  promise: lockedPromise,
  observable: lockedObservable,
  generator: lockedGenerator,
};
