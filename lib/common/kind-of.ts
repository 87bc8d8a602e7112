/** Characters of a class's name that a message shows. */
const MAX_CHARACTERS = 64;

/** The class of an object; undefined for plain ones and for those that will not say. */
function classOf(value: object): string | undefined {
  try {
    // Of the prototype: what was sent as JSON may have a `constructor` of its own.
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

/** What to write instead of a key that JavaScript made from an object, as the end of a message; empty for others. */
export function insteadOfText(key: string): string {
  const type = /\[object (\w+)\]/.exec(key)?.[1];
  if (type === undefined) return '';
  return type === 'Promise'
    ? '; it was made from a promise; await it first'
    : '; it was made from an object; name a property of that';
}

/**
 * What to write instead of an object that was meant to be a key or a part of one, as the end of a message; empty for others.
 * @param member how a property of the value is written there; default: as of a variable
 */
export function insteadOf(value: unknown, member?: (property: string) => string): string {
  if (typeof value !== 'object' || value === null) return '';
  if (value instanceof Promise) return '; await it first';
  if (Array.isArray(value)) return `; name an element of it, such as ${member?.('0') ?? 'list[0]'}`;
  return `; name a property of it, such as ${member?.('id') ?? `${asVariable(classOf(value) ?? 'object')}.id`}`;
}
