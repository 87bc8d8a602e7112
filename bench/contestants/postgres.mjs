import { measureAtLeast, measured, measureTimes, times } from '../support/goals.mjs';
import { callersOf, numbered, OWN_KEYS, peersOnRedis, semaphoreOf } from './callers.mjs';
import { hotCallers, hotName, P99, TURNS } from './hot-key.mjs';
import { hotPeersOnRedis } from './hot-redis.mjs';

/** For 1,000 callers: by default, a backend holds 800 locks at once, an eighth of the server's lock table. */
const ROOM = { backend: { maxHeld: 1000 }, settings: { max_locks_per_transaction: 128 } };
export const ROOM_NOTE =
  'On Postgres with `max_locks_per_transaction` 128 instead of 64, and `maxHeld` 1,000 instead of 800.';
/** Settings of the server that has this room. */
export const ROOMY = ROOM.settings;

const poolOf = (callers) => `an advisory lock on a pool of 10, ${numbered(callers)}`;
const rowOf = (callers) => `a row per lock on a pool of 10, ${numbered(callers)}`;

/** What this package is compared with, by the number of callers. */
const SEMAPHORE_GOALS = { 1: 0.5, 10: 0.8, 100: 1.5, 1000: 2 };
const POOL_GOALS = { 100: 5, 1000: 5 };

const url = (_stage, at) => ({ url: at.url });
const ours = (stage, at) => ({
  url: at.url,
  options: ROOM.backend,
  entry: stage.moduleUrl('entries/client.js'),
  postgresEntry: stage.moduleUrl('entries/postgres.js'),
  system: stage.moduleUrl('common/system.js'),
});

/**
 * Callers with keys of their own: this package on Postgres, the two recipes that programs use there, and two packages on
 * Redis. @param {{ postgres: Server, recipes: Server, redis?: Server }} servers
 */
export const ownKeysOnPostgres = ({ postgres, recipes, redis }) =>
  OWN_KEYS.flatMap((callers) => [
    ...(redis ? peersOnRedis(callers, redis) : []),
    { name: poolOf(callers), ...callersOf('postgres-advisory-pool', callers, recipes, url) },
    { name: rowOf(callers), ...callersOf('postgres-row-pool', callers, recipes, url) },
    {
      name: `the backend by itself, ${numbered(callers)}`,
      versus: [semaphoreOf(callers)],
      ...callersOf('postgres-spi', callers, postgres, ours),
    },
    {
      name: `LockClient on Postgres, ${numbered(callers)}`,
      versus: [semaphoreOf(callers), poolOf(callers), rowOf(callers)],
      goals: [
        times(SEMAPHORE_GOALS[callers], semaphoreOf(callers), 'redis-semaphore'),
        ...(callers in POOL_GOALS ? [times(POOL_GOALS[callers], poolOf(callers), 'the advisory lock on a pool')] : []),
      ],
      ...callersOf('postgres-backend', callers, postgres, ours),
    },
  ]);

const hotPostgres = (label, locker, server, where, goals) => (processes) => ({
  name: hotName(label, processes),
  unit: 'turns',
  versus: [hotName('redis-semaphore', processes)],
  goals: goals(processes),
  async start(stage) {
    const at = await server.reach(stage);
    return hotCallers(stage, at, processes, locker, where(stage, at));
  },
});

const HOT_GOALS = (processes) => [
  times(1.2, hotName('redis-semaphore', processes), 'redis-semaphore'),
  measureTimes(0.25, P99, hotName('redis-semaphore', processes), 'that of redis-semaphore'),
  measureAtLeast(0.95, TURNS),
  measured(P99),
];
const PEERS = () => [measured(P99), measured(TURNS)];

/** One key that all want. @param {{ postgres: Server, recipes: Server, redis?: Server }} servers */
export const hotKeyOnPostgres = ({ postgres, recipes, redis }) =>
  [
    ...(redis ? hotPeersOnRedis(redis) : []),
    hotPostgres('an advisory lock on a pool of 10', 'postgres-advisory-pool', recipes, url, PEERS),
    hotPostgres('a row per lock on a pool of 10', 'postgres-row-pool', recipes, url, PEERS),
    hotPostgres('LockClient on Postgres', 'postgres-backend', postgres, ours, HOT_GOALS),
  ].flatMap((contestant) => [contestant(1), contestant(4)]);
