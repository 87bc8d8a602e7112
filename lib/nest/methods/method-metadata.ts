import 'reflect-metadata';

/** Metadata of Nest's `@Sse`. */
const SSE = '__sse__';

type AnyFunction = (...args: any[]) => unknown;

/**
 * Makes `wrapper` look like `original` to everything that inspects functions: Reflect metadata of other decorators,
 * `name`, `length` and own properties. Thus routes, guards, cron jobs and API documentation see no difference, on
 * whichever side of the lock their decorator is.
 */
export function copyMetadata(wrapper: AnyFunction, original: AnyFunction): void {
  for (const key of Reflect.ownKeys(original)) {
    if (key === 'prototype' || key === 'arguments' || key === 'caller') continue;
    Object.defineProperty(wrapper, key, { ...Object.getOwnPropertyDescriptor(original, key)!, configurable: true });
  }
  for (const key of Reflect.getOwnMetadataKeys(original)) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, original), wrapper);
  }
}

/** Whether the handler sends what it emits immediately. */
export const isSse = (handler: object): boolean => Reflect.getMetadata(SSE, handler) === true;
