/** The channel on which CLIENT TRACKING tells a RESP2 connection of changes. */
export const INVALIDATE = '__redis__:invalidate';

/** Null: all keys, after FLUSHALL. */
export const invalidatedKeys = (keys: unknown): readonly string[] | null =>
  Array.isArray(keys) ? keys.map(String) : null;
