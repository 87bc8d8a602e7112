import { describe, it } from '@jest/globals';
import { REDIS_IS_REQUIRED, REDIS_SERVER, redisServer } from './binary.js';

/** Whether suites on Redis run here. */
export const WITH_REDIS = REDIS_SERVER !== undefined || REDIS_IS_REQUIRED;

/** Whether tests on Redis that take long run too: REDIS=all, as in `npm run test:redis`. */
export const ALL_OF_REDIS = WITH_REDIS && process.env['REDIS'] === 'all';

/**
 * A suite that needs a redis-server. Without one it is left out, and the report says so; with DFLOCKD_TEST_REDIS=required
 * it fails.
 */
export function describeRedis(name: string, suite: () => void): void {
  if (REDIS_SERVER !== undefined) return describe(name, suite);
  if (REDIS_IS_REQUIRED) return void it(name, () => void redisServer());
  process.stderr.write(`left out, without a redis-server: ${name}\n`);
  it.skip(`${name} (needs a redis-server)`, () => undefined);
}
