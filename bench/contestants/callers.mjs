import { perSecond, timeOf, times } from '../support/goals.mjs';
import { slice } from '../support/stage.mjs';
import { rawPing, rawPipelined } from './raw-ping.mjs';

const OURS = ['dflockd', 'drop-in', 'redis-backend', 'postgres-backend', 'postgres-spi'];

/** Flags of the processes that are measured, for lockers of this package. */
export const flagsFor = (locker, stage) => (OURS.includes(locker) ? stage.nodeFlags : []);

/** Callers, each with its own key. @param {(stage: Stage) => object} where the argument of the locker's `open` */
export const callersOf = (locker, callers, server, where) => ({
  unit: 'pairs',
  async start(stage) {
    const at = await server?.reach(stage);
    const url = new URL(`../lockers/${locker}.mjs`, import.meta.url).href;
    const client = await stage.client('callers.mjs', [url], flagsFor(locker, stage));
    await client.ask('open', { callers, ...where(stage, at) });
    return { slice: (ms) => slice(client, at, ms) };
  },
});

/** URLs of the entries of the build. @param {'ioredis' | 'redis'} library */
export const redisEntries = (library) => (stage) => ({
  entry: entryOf(stage),
  redisEntry: stage.moduleUrl('entries/redis.js'),
  library,
});

const hostAndPort = (_stage, { host, port }) => ({ host, port });
const entryOf = (stage) => stage.moduleUrl('entries/client.js');

const eachName = (server) => `a connection for each lock, 100 callers${server.label}`;
const REDLOCK = 'redlock, 100 callers';
const REDIS_SEMAPHORE = 'redis-semaphore, 100 callers';
const ASYNC_MUTEX = 'async-mutex, 100 callers';

/** A plain client without a pool, fast enough for a comparison. */
export const connectionEach = (server) => ({
  name: eachName(server),
  goals: [perSecond(2500, ', or it is a straw man')],
  ...callersOf('connection-each', 100, server, hostAndPort),
});

export const redlock = (redis) => ({ name: REDLOCK, ...callersOf('redlock', 100, redis, hostAndPort) });

export const redisSemaphore = (redis) => ({
  name: REDIS_SEMAPHORE,
  ...callersOf('redis-semaphore', 100, redis, hostAndPort),
});

export const asyncMutex = { name: ASYNC_MUTEX, ...callersOf('async-mutex', 100, undefined, () => ({})) };

/** What this package's client is compared with over TCP, by the number of callers. */
const REMOTE_GOALS = {
  1: () => [timeOf(1.2, 2, rawPing.name, 'two raw round trips')],
  100: (server) => [
    times(15, eachName(server), 'a connection for each lock'),
    times(2, REDLOCK, 'redlock'),
    times(2, REDIS_SEMAPHORE, 'redis-semaphore'),
  ],
  1000: () => [perSecond(200_000)],
};
const REMOTE_VERSUS = {
  1: () => [rawPing.name],
  100: (server) => [eachName(server), REDLOCK, REDIS_SEMAPHORE],
  1000: () => [rawPipelined(1000).name],
};

export const numbered = (callers) => `${callers} caller${callers === 1 ? '' : 's'}`;

/** This package's client over TCP. @param {1 | 100 | 1000} callers */
export const remote = (callers, server) => ({
  name: `LockClient remote, ${numbered(callers)}${server.label}`,
  versus: REMOTE_VERSUS[callers](server),
  goals: REMOTE_GOALS[callers](server),
  ...callersOf('dflockd', callers, server, (stage, { host, port }) => ({
    entry: entryOf(stage),
    options: { servers: [[host, port]] },
  })),
});

/** This package's drop-in for dflockd-client. */
export const dropIn = (server) => ({
  name: `drop-in, 100 objects${server.label}`,
  versus: [eachName(server)],
  goals: [times(1.2, eachName(server), 'a connection for each lock')],
  ...callersOf('drop-in', 100, server, (stage, { host, port }) => ({ entry: entryOf(stage), host, port })),
});

/** This package's client with the engine in its own process. */
export const embedded = (callers, goals) => ({
  name: `LockClient embedded, ${numbered(callers)}`,
  versus: callers === 100 ? [ASYNC_MUTEX] : [],
  goals,
  ...callersOf('dflockd', callers, undefined, (stage) => ({ entry: entryOf(stage), options: { embedded: true } })),
});

/** How many callers with keys of their own. */
export const OWN_KEYS = [1, 10, 100, 1000];
export const semaphoreOf = (callers) => `redis-semaphore, ${numbered(callers)}`;
const redlockOf = (callers) => `@sesamecare-oss/redlock, ${numbered(callers)}`;
/** Names of the client libraries, by the package that has them. */
export const LIBRARIES = { ioredis: 'ioredis', redis: 'node-redis' };

/** What this package on Redis is compared with, by the number of callers. */
const REDIS_GOALS = {
  1: () => 0.8,
  10: () => 0.8,
  100: (library) => (library === 'ioredis' ? 1.5 : 1.2),
  1000: () => 1.5,
};

const redisBackend = (callers, library, redis) => ({
  name: `LockClient on ${LIBRARIES[library]}, ${numbered(callers)}`,
  versus: [semaphoreOf(callers), redlockOf(callers)],
  goals: [
    times(REDIS_GOALS[callers](library), semaphoreOf(callers), 'redis-semaphore'),
    ...(callers === 100 ? [times(2, redlockOf(callers), '@sesamecare-oss/redlock')] : []),
  ],
  ...callersOf('redis-backend', callers, redis, (stage, { host, port }) => ({
    host,
    port,
    ...redisEntries(library)(stage),
  })),
});

/** Other packages on Redis, over ioredis. */
export const peersOnRedis = (callers, redis) => [
  { name: semaphoreOf(callers), ...callersOf('redis-semaphore', callers, redis, hostAndPort) },
  { name: redlockOf(callers), ...callersOf('sesamecare-redlock', callers, redis, hostAndPort) },
];

/** Callers with keys of their own on Redis: this package over both libraries, and others. */
export const ownKeysOnRedis = (redis) =>
  OWN_KEYS.flatMap((callers) => [
    ...peersOnRedis(callers, redis),
    ...Object.keys(LIBRARIES).map((library) => redisBackend(callers, library, redis)),
  ]);
