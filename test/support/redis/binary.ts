interface Finder {
  findRedis(): string | undefined;
  readonly NO_REDIS: string;
}

// A path in a variable: the compiler has no types for it. Compiled copies of this folder are told where Redis is.
const path = '../../../scripts/redis-server.mjs';
const { DFLOCKD_TEST_REDIS_SERVER: given, DFLOCKD_TEST_REDIS: wanted } = process.env;
const finder = given === undefined ? ((await import(path)) as Finder) : undefined;

/** The redis-server that tests start; undefined where there is none. */
export const REDIS_SERVER: string | undefined = finder ? finder.findRedis() : wanted === 'off' ? undefined : given;

/** Whether tests that need Redis fail without it, instead of being left out. */
export const REDIS_IS_REQUIRED = wanted === 'required';

export function redisServer(): string {
  if (REDIS_SERVER === undefined) throw new Error(finder?.NO_REDIS ?? 'DFLOCKD_TEST_REDIS is off');
  return REDIS_SERVER;
}
