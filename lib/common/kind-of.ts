/** Most characters of a class name in a message. */
const MAX_CHARACTERS = 64;

/** The class name of an object; undefined for a plain object and for one that does not reveal it. */
function classOf(value: object): string | undefined {
  try {
    // From the prototype: an object parsed from JSON may have a `constructor` of its own.
    const name: unknown = (Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null)?.constructor
      ?.name;
    return typeof name === 'string' && /^[\p{L}\p{N}_$]+$/u.test(name) && name !== 'Object'
      ? name.slice(0, MAX_CHARACTERS)
      : undefined;
  } catch {
    return undefined;
  }
}

/** `an Order`, `a User`. */
const withArticle = (name: string): string => `${/^(?:[aeio]|u(?:p|l|n(?!i)))/i.test(name) ? 'an' : 'a'} ${name}`;

/** What a value is, for a message that must not show it: `number`, `null`, `an array`, `a User`. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' ? withArticle(classOf(value) ?? 'object') : typeof value;
}

/** `order` for an Order, `url` for a URL. */
const asVariable = (name: string): string =>
  name.replace(/^\p{Lu}+(?!\p{Ll})|^\p{Lu}/u, (start) => start.toLowerCase());

/** What to use instead of a key that JavaScript made from an object, to end a message with; empty for other keys. */
export function insteadOfText(key: string): string {
  const type = /\[object (\w+)\]/.exec(key)?.[1];
  if (type === undefined) return '';
  return type === 'Promise'
    ? '; it was made from a promise; await it first'
    : '; it was made from an object; use a property of it';
}

/**
 * What to use instead of an object given as a key or as part of one, to end a message with; empty for other values.
 * @param member how to write a property of the value; default: as that of a variable
 */
export function insteadOf(value: unknown, member?: (property: string) => string): string {
  if (typeof value !== 'object' || value === null) return '';
  if (value instanceof Promise) return '; await it first';
  if (Array.isArray(value)) return `; use an element of it, such as ${member?.('0') ?? 'list[0]'}`;
  return `; use a property of it, such as ${member?.('id') ?? `${asVariable(classOf(value) ?? 'object')}.id`}`;
}
