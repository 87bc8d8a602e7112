import { ConfigError } from '../common/errors.js';
import { shared } from '../common/shared-state.js';
import { DEFAULT_INSTANCE } from '../nest/shared/dflockd.constants.js';
import { DflockdService } from '../nest/dflockd.service.js';
import { LockRunner } from '../nest/methods/lock.runner.js';
import { serviceRefOf, lockedMethodsOf } from '../nest/methods/locked-method.registry.js';
import { ServiceRef } from '../nest/methods/service-ref.js';
import { TestLocks } from './test-locks.js';

/** Shared by objects attached without `locks`; does not keep the process alive. */
const common = shared('test-locks', (): { locks?: TestLocks } => ({}));

/**
 * Connects an object that Nest did not create to locks, for all instances that its locked methods name. May be called
 * again, with others.
 *
 * @param locks default: locks in this process, shared by all such objects
 * @returns the object
 * @throws ConfigError for an object without locked methods, or one that Nest created
 *
 * @example
 * ```ts
 * const orders = attachLocks(new OrderService(repository));
 * ```
 */
export function attachLocks<T extends object>(object: T, locks: TestLocks | DflockdService = sharedLocks()): T {
  if (typeof object !== 'object' || object === null) {
    throw new ConfigError(`attachLocks: expected an object, got ${String(object)}`);
  }
  const service = locks instanceof TestLocks ? locks.service : locks;
  if (!(service instanceof DflockdService)) {
    throw new ConfigError('attachLocks: the second argument is neither TestLocks nor a DflockdService');
  }
  const name = object.constructor?.name ?? 'the object';
  const methods = lockedMethodsOf(Object.getPrototypeOf(object) as object);
  if (methods.length === 0) throw new ConfigError(`attachLocks: ${name} has no locked methods`);
  const ref = new ServiceRef();
  ref.fill(new LockRunner(service.client));
  for (const method of methods) {
    const { instance } = method.plan;
    method.bind(object, ref);
    if (serviceRefOf(object, instance) !== ref) {
      const which = instance === DEFAULT_INSTANCE ? 'DflockdService' : `getDflockdToken('${instance}')`;
      throw new ConfigError(
        `attachLocks: ${name} was created by Nest and has its locks already; use overrideProvider(${which}).useValue(locks.service)`,
      );
    }
  }
  return object;
}

const sharedLocks = (): TestLocks => (common.locks ??= new TestLocks());
