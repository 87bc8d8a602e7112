import 'reflect-metadata';
import { types } from 'node:util';
import type { ModulesContainer } from '@nestjs/core';
import { shared } from '../../common/shared-state.js';
import type { AnyFunction } from '../methods/decorated-method.js';
import { currentRun } from './handler-run.js';
import { copyMetadata } from '../methods/method-metadata.js';
import { requestPlansOn } from './request-plans.js';

const tracked = shared('tracked-handlers', () => new WeakSet<object>());

export const isTracked = (handler: object): boolean => tracked.has(handler);

/** The same method, which reports to the run of its request when it has settled. */
export function trackedHandler(original: AnyFunction): AnyFunction {
  if (tracked.has(original) || types.isGeneratorFunction(original)) return original;
  const call = (self: unknown, args: unknown[]): unknown => {
    const run = currentRun();
    const handle = (): unknown => Reflect.apply(original, self, args);
    return run ? run.call(handle) : handle();
  };
  // Other decorators check whether the function is async.
  const handler = types.isAsyncFunction(original)
    ? async function (this: unknown, ...args: unknown[]): Promise<unknown> {
        return call(this, args);
      }
    : function (this: unknown, ...args: unknown[]): unknown {
        return call(this, args);
      };
  copyMetadata(handler, original);
  tracked.add(handler);
  return handler;
}

/**
 * Tracks the handlers of all classes with @LockRequest, including inherited ones and those of subclasses. Must be
 * called before handlers are registered, that is, before `onModuleInit`.
 */
export function trackHandlers(modules: ModulesContainer): void {
  for (const { providers, controllers } of modules.values()) {
    for (const { metatype } of [...providers.values(), ...controllers.values()]) {
      if (typeof metatype !== 'function' || requestPlansOn(metatype).length === 0) continue;
      trackMethods(metatype.prototype as object | undefined);
    }
  }
}

function trackMethods(prototype: object | null | undefined): void {
  for (let p = prototype; p && p !== Object.prototype; p = Object.getPrototypeOf(p) as object | null) {
    for (const property of Reflect.ownKeys(p)) {
      const descriptor = Object.getOwnPropertyDescriptor(p, property)!;
      const method: unknown = descriptor.value;
      // Handlers have metadata.
      if (typeof method !== 'function' || property === 'constructor' || !descriptor.configurable) continue;
      if (Reflect.getOwnMetadataKeys(method).length === 0) continue;
      Object.defineProperty(p, property, { ...descriptor, value: trackedHandler(method as AnyFunction) });
    }
  }
}
