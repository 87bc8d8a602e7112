import { sharedSymbol } from './shared-state.js';

type Class = abstract new (...args: any[]) => object;

const ordinary = Function.prototype[Symbol.hasInstance];

/** Whether the value inherits the mark. An own one says nothing, as with `instanceof`. */
function inherits(value: unknown, mark: symbol): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || !(mark in value)) return false;
  for (let p = Object.getPrototypeOf(value) as object | null; p; p = Object.getPrototypeOf(p) as object | null) {
    if (Object.hasOwn(p, mark)) return true;
  }
  return false;
}

/** Keeps a class's name in bundles that are minified: errors, loggers and Nest show it. */
export function named(type: Class, name: string): void {
  Object.defineProperty(type, 'name', { value: name, configurable: true });
}

/**
 * Makes `instanceof` of this class also true for instances of the same class of another copy of this package. Subclasses
 * of the package are branded themselves; one of a user inherits this, and answers by its prototype as any other class.
 * The class keeps its name in minified bundles.
 */
export function brand(type: Class, name: string): void {
  named(type, name);
  const mark = sharedSymbol(`class:${name}`);
  Object.defineProperty(type.prototype, mark, { value: true });
  Object.defineProperty(type, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      try {
        return ordinary.call(this as never, value) || (this === type && inherits(value, mark));
      } catch {
        // A proxy that is revoked, or that will not be looked at.
        return false;
      }
    },
  });
}
