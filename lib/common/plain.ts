/** A value for JSON: an error as name, message and code, a bigint as text. */
function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (!(value instanceof Error) || 'toJSON' in value) return value;
  const { name, message, code } = value as NodeJS.ErrnoException;
  return { name, message, code };
}

/** The fields of an object as plain data: `JSON.stringify` neither fails on them nor drops one. */
export const plainFields = (object: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, plainValue(value)]));
