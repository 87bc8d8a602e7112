import 'reflect-metadata';
import { Catch, type ExceptionFilter, type Type } from '@nestjs/common';
import { LockError } from '../../common/errors.js';

/** Where Nest keeps what `@Catch` names; the same in all versions, not exported in all of them. */
const CATCHES = '__filterCatchExceptions__';

/** `@Catch` with a condition in place of classes: Nest asks `error instanceof` it. */
export function CatchIf(condition: (error: LockError) => boolean): ClassDecorator {
  class Condition {
    static [Symbol.hasInstance](error: unknown): boolean {
      return error instanceof LockError && condition(error);
    }
  }
  return Catch(Condition);
}

/** What a filter, or a class of filters, catches; empty: everything. Undefined for what is none, or will not be looked at. */
export function caughtBy(filter: unknown): readonly unknown[] | undefined {
  try {
    const its = (typeof filter === 'function' ? filter.prototype : filter) as Partial<ExceptionFilter> | undefined;
    if (typeof its?.catch !== 'function') return undefined;
    const prototype = (its === filter ? Object.getPrototypeOf(its) : its) as object;
    return (Reflect.getMetadata(CATCHES, prototype) ??
      Reflect.getMetadata(CATCHES, prototype.constructor) ??
      []) as readonly unknown[];
  } catch {
    // Some proxies throw at any access outside a request.
    return undefined;
  }
}

/** Whether it is LockError or a subclass, also of another copy of this package. */
export function namesLockErrors(type: unknown): type is Type<LockError> {
  const prototype: unknown = typeof type === 'function' ? type.prototype : undefined;
  return typeof prototype === 'object' && prototype !== null && Object.create(prototype) instanceof LockError;
}

/** Whether a filter of these types catches every LockError, without naming one. */
export function isCatchAll(types: readonly unknown[]): boolean {
  if (types.some(namesLockErrors)) return false;
  return types.length === 0 || types.some(isBaseOfLockErrors);
}

function isBaseOfLockErrors(type: unknown): boolean {
  try {
    return typeof type === 'function' && LockError.prototype instanceof type;
  } catch {
    // A condition of the application, in place of a class, that only errors stand.
    return false;
  }
}

/** Whether LockError itself is among them, and not only subclasses. */
export const namesAllLockErrors = (types: readonly unknown[]): boolean =>
  types.some((type) => namesLockErrors(type) && !(type.prototype instanceof LockError));
