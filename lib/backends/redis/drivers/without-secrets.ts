/** Without credentials in a URL, and without the arguments that Redis repeats of a command that it does not know. */
export const scrubbed = (text: string): string =>
  text.replace(/,? with args beginning with:[\s\S]*/, '').replace(/\/\/[^\s/]*@/g, '//***@');

/** Also one of another realm: of Node itself where a test framework runs code in a context of its own. */
export const isError = (value: unknown): value is Error =>
  typeof value === 'object' && value !== null && typeof (value as { message?: unknown }).message === 'string';

/** Where an error was made, as its stack tells. */
export function framesOf(stack: string): string {
  const at = stack.search(/\n\s+at /);
  return at < 0 ? '' : stack.slice(at);
}

/** Libraries wrap errors around errors. */
const MAX_DEPTH = 5;

/**
 * The error of a client library as it is, if it holds nothing that may be secret; otherwise a copy of the same class without
 * the rest: libraries attach the command with its arguments, the password of AUTH and HELLO too.
 */
export const withoutSecrets = (error: unknown): unknown => (isError(error) ? cleaned(error, 0) : error);

function cleaned(error: Error, depth: number): Error {
  const text = scrubbed(error.message);
  const fields = new Map<string, unknown>();
  let isClean = text === error.message;
  for (const name of Object.getOwnPropertyNames(error)) {
    if (name === 'message' || name === 'stack') continue;
    const value: unknown = Reflect.get(error, name);
    const kept = cleanValue(value, depth);
    if (kept !== undefined) fields.set(name, kept);
    isClean &&= kept === value;
  }
  if (isClean) return error;
  const copy = new Error(text);
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error) as object);
  for (const [name, value] of fields) {
    Object.defineProperty(copy, name, { ...Object.getOwnPropertyDescriptor(error, name), value });
  }
  if (error.stack !== undefined) copy.stack = `${error.name}: ${text}${framesOf(error.stack)}`;
  return copy;
}

/** Undefined: it is left out. The same value: there is nothing secret in it. */
function cleanValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return scrubbed(value);
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value;
  if (depth === MAX_DEPTH) return undefined;
  if (isError(value)) return cleaned(value, depth + 1);
  if (!Array.isArray(value) || !value.every(isError)) return undefined;
  const errors = value.map((each) => cleaned(each, depth + 1));
  return errors.every((each, i) => each === value[i]) ? value : errors;
}
