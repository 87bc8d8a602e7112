// Runs any sample but the first.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { needsRedis, startRedis } from './redis.mjs';

const LONGEST_CHECK_MS = 60_000;
/** The reporter for checks that are tests. */
const REPORTING = ['--test-reporter=spec'];

/**
 * Resolves with whether the sample succeeded. With `once` it checks itself and exits; without, it runs until a signal, such as that of
 * Ctrl-C, ends it.
 */
export async function run(folder, once) {
  const main = join(folder, 'dist/main.js');
  const checks = once || !existsSync(main);
  const redis = checks && needsRedis(basename(folder)) ? await startRedis() : undefined;
  const env = redis ? { ...process.env, REDIS_PORT: String(redis.port) } : process.env;
  const child = spawn(process.execPath, [...REPORTING, checks ? join(folder, 'dist/check.js') : main], {
    stdio: 'inherit',
    env,
  });
  // Passes signals on to the sample, which then shuts down cleanly.
  let asked;
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.on(signal, () => {
      asked = signal;
      child.kill(signal);
    });
  const late = checks
    ? setTimeout(() => {
        console.error(`has not exited within ${LONGEST_CHECK_MS / 1000} s`);
        child.kill('SIGKILL');
      }, LONGEST_CHECK_MS)
    : undefined;
  const [code, endedBy] = await new Promise((resolve) => child.once('exit', (...ends) => resolve(ends)));
  clearTimeout(late);
  await redis?.stop();
  // Nest ends a process by the signal that asked for its shutdown.
  return code === 0 || (!checks && asked !== undefined && endedBy === asked);
}
