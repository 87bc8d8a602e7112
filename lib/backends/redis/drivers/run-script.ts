import type { Script } from '../scripts/script.js';
import { replyCode } from './redis-errors.js';

/** EVALSHA, and EVAL where the server does not know the script: after a restart, a failover, SCRIPT FLUSH. */
export function runScript(
  call: (args: readonly string[]) => Promise<unknown>,
  script: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  const count = `${keys.length}`;
  return call(['EVALSHA', script.sha1, count, ...keys, ...args]).catch((error: unknown) => {
    if (replyCode(error) !== 'NOSCRIPT') throw error;
    return call(['EVAL', script.source, count, ...keys, ...args]);
  });
}
