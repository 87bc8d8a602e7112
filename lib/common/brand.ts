import { sharedSymbol } from './shared-state.js';

type Class = abstract new (...args: any[]) => object;

const ordinary = Function.prototype[Symbol.hasInstance];

/** Whether the value inherits the mark. As with `instanceof`, an own property does not count. */
function inherits(value: unknown, mark: symbol): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || !(mark in value)) return false;
  for (let p = Object.getPrototypeOf(value) as object | null; p; p = Object.getPrototypeOf(p) as object | null) {
    if (Object.hasOwn(p, mark)) return true;
  }
  return false;
}

/** Keeps the name of a class in minified bundles: errors, loggers and Nest show it. */
export function named(type: Class, name: string): void {
  Object.defineProperty(type, 'name', { value: name, configurable: true });
}

/**
 * Makes `instanceof` also accept instances of the same class from another copy of this package. The package brands its
 * own subclasses separately; a user's subclass inherits this check, which then compares prototypes as for any other
 * class. The class keeps its name in minified bundles.
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
        // A revoked proxy, or one whose traps throw.
        return false;
      }
    },
  });
}
