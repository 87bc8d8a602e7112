import 'reflect-metadata';
import type { ApplicationConfig, ModulesContainer } from '@nestjs/core';
import { caughtBy, isCatchAll, namesAllLockErrors } from '../errors/catch.types.js';
import { answeringIn } from '../errors/exception.settings.js';
import { methodOf } from './handler.rules.js';
import type { LockedMethod } from '../methods/locked-method.registry.js';
import { LockExceptionFilter } from '../errors/lock-exception.filter.js';
import { isModuleFilter } from '../errors/module.filter.js';
import type { NestWrapper } from '../shared/module-info.js';
import { requestPlansOn } from '../requests/request-plans.js';

/** Metadata of `@UseFilters`: the same in all versions, but not exported in all of them. */
const FILTERS = '__exceptionFilters__';

/** Whether any DflockdModule of the application answers errors, so that a filter could hide them. */
export const answersErrors = (modules: ModulesContainer): boolean =>
  answeringIn(modules).some(({ settings }) => settings !== undefined);

/** The name of a global filter that catches every LockError before the module's filter receives it. */
export function hidingGlobally(config: ApplicationConfig): string | undefined {
  const perRequest = config.getGlobalRequestFilters() as NestWrapper[];
  // What a factory returns per request is not known before it is called.
  const classes = perRequest.map(({ metatype, inject }) => (inject ? undefined : metatype));
  return hiding([...config.getGlobalFilters(), ...classes]);
}

/** The names of such filters bound to a class with locked handlers, or to one of the handlers. */
export function hidingOn(prototype: object, locked: readonly LockedMethod[]): string[] {
  const type = prototype.constructor;
  const ofClass = [MODULE, ...filtersOn(type)];
  const bound = methodsOf(prototype)
    .filter(
      ([property, method]) => requestPlansOn(method).length > 0 || locked.some((one) => one.property === property),
    )
    .map(([, method]) => [...ofClass, ...filtersOn(method)]);
  if (requestPlansOn(type).length > 0) bound.push(ofClass);
  return bound.map(hiding).filter((name) => name !== undefined);
}

/** Stands for the modules' filters, which are tried after bound filters. */
const MODULE = { isAnswering: true };

/** @param filters the last is tried first */
function hiding(filters: readonly unknown[]): string | undefined {
  let name: string | undefined;
  for (const filter of filters.toReversed()) {
    if (filter === MODULE || isModuleFilter(filter)) {
      if (name !== undefined && (filter as typeof MODULE).isAnswering) return name;
      continue;
    }
    const types = caughtBy(filter);
    if (!types) continue;
    if (isCatchAll(types) && !answersLocks(filter)) name ??= nameOf(filter as object);
    else if (name === undefined && (namesAllLockErrors(types) || answersLocks(filter))) return undefined;
  }
  return undefined;
}

/** Whether it extends this package's filter, and so can be expected to pass LockErrors to it. */
const answersLocks = (filter: unknown): boolean =>
  filter instanceof LockExceptionFilter ||
  (typeof filter === 'function' && filter.prototype instanceof LockExceptionFilter);

function nameOf(filter: object): string {
  const type: unknown = typeof filter === 'function' ? filter : filter.constructor;
  return (typeof type === 'function' && type !== Object && type.name) || 'an anonymous filter';
}

const filtersOn = (target: object): readonly unknown[] =>
  (Reflect.getMetadata(FILTERS, target) ?? []) as readonly unknown[];

function methodsOf(prototype: object): [property: string | symbol, method: object][] {
  const properties = new Set<string | symbol>();
  for (let p: object | null = prototype; p && p !== Object.prototype; p = Object.getPrototypeOf(p) as object | null) {
    Reflect.ownKeys(p).forEach((property) => properties.add(property));
  }
  return [...properties].flatMap((property) => {
    const method = property === 'constructor' ? undefined : methodOf(prototype, property);
    return method ? [[property, method] as [string | symbol, object]] : [];
  });
}
