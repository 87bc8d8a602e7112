import { measureAtLeast, measured, measureInTurns, times } from '../support/goals.mjs';
import { slice } from '../support/stage.mjs';
import { LIBRARIES, redisEntries } from './callers.mjs';
import { hotCallers, hotName, P99, TURNS, WAITERS } from './hot-key.mjs';

const REDIS_LIMIT = 'a timer of 1 ms and one raw PING';

/** This package and others on Redis. */
const hotRedis = (label, locker, redis, more, goals) => (processes) => ({
  name: hotName(label, processes),
  unit: 'turns',
  versus: [REDIS_LIMIT],
  goals,
  async start(stage) {
    const at = await redis.reach(stage);
    const where = { host: at.host, port: at.port, ...more(stage) };
    return hotCallers(stage, at, processes, locker, where);
  },
});

/** The same with Redis: a timer, and a PING. */
export const pacedRedis = (redis) => ({
  name: REDIS_LIMIT,
  unit: 'turns',
  async start(stage) {
    const { host, port, cpu } = await redis.reach(stage);
    const client = await stage.client('paced-echo.mjs', ['redis']);
    await client.ask('connect', { host, port });
    return { slice: (ms) => slice(client, { cpu }, ms) };
  },
});

const none = () => ({});
const peers = [measured(P99), measured(TURNS)];

/** Other packages on Redis. */
export const hotPeersOnRedis = (redis) => [
  hotRedis('redis-semaphore', 'redis-semaphore', redis, none, peers),
  hotRedis('@sesamecare-oss/redlock', 'sesamecare-redlock', redis, none, peers),
];

const REDIS_GOALS = [
  times(0.85, REDIS_LIMIT, 'the first line'),
  measureInTurns(2.5, P99, WAITERS, REDIS_LIMIT, 'the first line'),
  measureAtLeast(0.95, TURNS),
  measured(P99),
];

/** @param {Server} redis */
export const hotKeyOnRedis = (redis) => {
  const kinds = [
    ...Object.entries(LIBRARIES).map(([library, label]) =>
      hotRedis(`LockClient on ${label}`, 'redis-backend', redis, redisEntries(library), REDIS_GOALS),
    ),
    hotRedis('a bare hand-over (EVAL, PUBLISH) on ioredis', 'bare-hand-over', redis, none, peers),
    ...hotPeersOnRedis(redis),
  ];
  return kinds.flatMap((contestant) => [contestant(1), contestant(4)]);
};
