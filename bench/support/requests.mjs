/** Characters of a token. */
export const TOKEN_LENGTH = 32;

/** A try, with a lease: what the client of this package sends. */
export const acquireOf = (key) => `l\n${key}\n0 30\n`;
export const releaseWith = (key, token) => `r\n${key}\n${token}\n`;
/** With room for the token. */
export const releaseOf = (key) => releaseWith(key, '-'.repeat(TOKEN_LENGTH));
