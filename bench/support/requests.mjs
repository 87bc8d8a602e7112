/** Characters of a token. */
export const TOKEN_LENGTH = 32;

/** An acquire that does not wait, with a lease, as this package's client sends it. */
export const acquireOf = (key) => `l\n${key}\n0 30\n`;
export const releaseWith = (key, token) => `r\n${key}\n${token}\n`;
/** A release, with room for the token. */
export const releaseOf = (key) => releaseWith(key, '-'.repeat(TOKEN_LENGTH));
