/** Characters of a key that a message shows. */
const MOST_SHOWN = 128;
/** Keys of a list that a message shows. */
const MOST_LISTED = 3;

const isLong = (key: string): boolean => key.length > MOST_SHOWN;

/**
 * A key for a message or a log: without line breaks, control characters and open quotes, and cut, because remote users may
 * have chosen it. Of an object it says only that it is one.
 */
export function shown(key: unknown): string {
  if (typeof key === 'object' && key !== null) return Array.isArray(key) ? 'an array' : 'an object';
  if (typeof key === 'function') return 'a function';
  if (typeof key !== 'string') return shown(String(key));
  if (!isLong(key)) return escaped(key);
  const half = /[\ud800-\udbff]$/;
  return `${escaped(key.slice(0, MOST_SHOWN).replace(half, ''))}… (${key.length} characters)`;
}

/** Several keys for a message: the first few, and how many more there are. */
export function shownList(keys: readonly unknown[]): string {
  const first = keys.slice(0, MOST_LISTED).map(shown).join(', ');
  return keys.length > MOST_LISTED ? `${first} and ${keys.length - MOST_LISTED} more` : first;
}

/** Gives an error its key. One that messages cut is not written out by loggers, `inspect` and JSON either. */
export function nameKey(error: object, key: string): void {
  Object.defineProperty(error, 'key', { value: key, enumerable: !isLong(key), configurable: true, writable: true });
}

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);
