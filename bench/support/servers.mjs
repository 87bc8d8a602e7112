/**
 * The lock servers that contestants use. `label` distinguishes servers with the same contestants.
 *
 * @typedef {{ label: string, reach(stage: import('./stage.mjs').Stage): Promise<object> }} Server
 */

/** The daemon of the build. @type {Server} */
export const ownDaemon = { label: '', reach: (stage) => stage.server('daemon.mjs', 'callers') };

/** @param {string} file path of redis-server @returns {Server} */
export const redisAt = (file) => ({ label: '', reach: (stage) => stage.server('redis.mjs', 'redis', file) });

/**
 * @param {string} bin folder of the programs of Postgres @param {string} name contestants share a server by its name
 * @param {Record<string, string | number>} [settings]
 * @returns {Server}
 */
export const postgresAt = (bin, name, settings = {}) => ({
  label: '',
  reach: (stage) => stage.server('postgres.mjs', name, [bin, JSON.stringify(settings)]),
});

/** The running daemon that DFLOCKD_BENCH_ADDR names, if any. @returns {Server[]} */
export function givenDaemon(address = process.env.DFLOCKD_BENCH_ADDR) {
  if (!address) return [];
  const [, host, port] = /^(.+):(\d+)$/.exec(address) ?? [];
  if (host === undefined) throw new Error(`DFLOCKD_BENCH_ADDR is host:port, not "${address}"`);
  return [{ label: `, ${address}`, reach: async () => ({ host, port: Number(port) }) }];
}
