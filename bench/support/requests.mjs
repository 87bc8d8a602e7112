/** Characters of a token. */
export const TOKEN_LENGTH = 32;

/** An acquire that does not wait, with a lease, as this package's client sends it. */
export const acquireOf = (key) => `l\n${key}\n0 30\n`;
export const releaseWith = (key, token) => `r\n${key}\n${token}\n`;
/** A release, with room for the token. */
export const releaseOf = (key) => releaseWith(key, '-'.repeat(TOKEN_LENGTH));

/**
 * What the daemon has said instead of granting a request.
 *
 * @param {string} line as received, perhaps with more behind it @param {string | undefined} asked the request; undefined: none
 */
export function refusal(line, asked) {
  const said = JSON.stringify(line.split('\n', 1)[0]);
  if (asked === undefined)
    return `the daemon has said ${said} unasked: it ends connections that are silent for its read timeout`;
  const [command, key] = asked.split('\n');
  if (command === 'r' && said === '"error"') {
    return `the daemon has answered "error" to the release of ${key}: the lease has expired, or the lock was released before`;
  }
  return `the daemon has answered ${said} to the ${command === 'r' ? 'release' : 'acquire'} of ${key}`;
}
