import 'reflect-metadata';
import { Catch, type ExceptionFilter, type Type } from '@nestjs/common';
import { LockError } from '../../common/errors.js';

/** The metadata of `@Catch`: the same in all versions, but not exported in all of them. */
const CATCHES = '__filterCatchExceptions__';

/** `@Catch` with a condition instead of classes, which Nest evaluates as `error instanceof`. */
export function CatchIf(condition: (error: LockError) => boolean): ClassDecorator {
  class Condition {
    static [Symbol.hasInstance](error: unknown): boolean {
      return error instanceof LockError && condition(error);
    }
  }
  return Catch(Condition);
}

/**
 * What a filter, or a filter class, catches; empty: everything. Undefined if it is not a filter or cannot be inspected.
 */
export function caughtBy(filter: unknown): readonly unknown[] | undefined {
  try {
    const its = (typeof filter === 'function' ? filter.prototype : filter) as Partial<ExceptionFilter> | undefined;
    if (typeof its?.catch !== 'function') return undefined;
    const prototype = (its === filter ? Object.getPrototypeOf(its) : its) as object;
    return (Reflect.getMetadata(CATCHES, prototype) ??
      Reflect.getMetadata(CATCHES, prototype.constructor) ??
      []) as readonly unknown[];
  } catch {
    // Some proxies throw on any access outside a request.
    return undefined;
  }
}

/** Whether it is LockError or a subclass, even from another copy of this package. */
export function namesLockErrors(type: unknown): type is Type<LockError> {
  const prototype: unknown = typeof type === 'function' ? type.prototype : undefined;
  return typeof prototype === 'object' && prototype !== null && Object.create(prototype) instanceof LockError;
}

/** Whether a filter of these types catches every LockError without naming one. */
export function isCatchAll(types: readonly unknown[]): boolean {
  if (types.some(namesLockErrors)) return false;
  return types.length === 0 || types.some(isBaseOfLockErrors);
}

function isBaseOfLockErrors(type: unknown): boolean {
  try {
    return typeof type === 'function' && LockError.prototype instanceof type;
  } catch {
    // A condition of the application in place of a class, which only handles errors.
    return false;
  }
}

/** Whether LockError itself is among them, not only subclasses. */
export const namesAllLockErrors = (types: readonly unknown[]): boolean =>
  types.some((type) => namesLockErrors(type) && !(type.prototype instanceof LockError));
