import type { inspect, InspectOptionsStylized } from 'node:util';

/** The method by which Node's `inspect` and `console.log`, and those of Bun and Deno, print an object. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

interface Plain {
  toJSON(): object;
}

/** Makes instances of the class print as a name and their `toJSON()` data, and nothing else that they hold. */
export function printAs(name: string, type: { readonly prototype: Plain }): void {
  Object.defineProperty(type.prototype, INSPECT, {
    value(this: Plain, depth: number, options: InspectOptionsStylized, print: typeof inspect): string {
      return depth < 0 ? `[${name}]` : `${name} ${print(this.toJSON(), options)}`;
    },
  });
}
