import { perSecond } from '../support/goals.mjs';
import { findPostgres } from '../support/postgres.mjs';
import { findRedis } from '../support/redis.mjs';
import { givenDaemon, ownDaemon, postgresAt, redisAt } from '../support/servers.mjs';
import {
  asyncMutex,
  connectionEach,
  dropIn,
  embedded,
  ownKeysOnRedis,
  redisSemaphore,
  redlock,
  remote,
} from './callers.mjs';
import { echoConnections, lockConnections } from './connections.mjs';
import { engine } from './engine.mjs';
import { hotKey, pacedEcho } from './hot-key.mjs';
import { hotKeyOnRedis, pacedRedis } from './hot-redis.mjs';
import { lockedMethod, openMethod } from './nest.mjs';
import { pipelined } from './pipelined.mjs';
import { hotKeyOnPostgres, ownKeysOnPostgres, ROOM_NOTE, ROOMY } from './postgres.mjs';
import { rawPing, rawPipelined } from './raw-ping.mjs';
import { signals } from './signals.mjs';

/**
 * What is counted in a slice.
 *
 * @typedef {object} Slice
 * @property {number} count
 * @property {number} ms
 * @property {number} clientCpuMs
 * @property {number} [serverCpuMs] unknown for a server that is not ours, absent without one
 * @property {Record<string, number>} [measures] what is measured besides
 */

/**
 * One line of a table. `versus` names others of the group to which a ratio is taken, slice by slice of the same round.
 * Every contestant is also compared with the first of its group.
 *
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} unit what is counted
 * @property {string[]} [versus]
 * @property {import('../support/goals.mjs').Goal[]} [goals]
 * @property {(stage: import('../support/stage.mjs').Stage) => Promise<{ slice(ms: number): Promise<Slice> }>} start
 */

/**
 * Contestants whose slices are interleaved. A group has servers and clients of its own, and one table. Groups of one name are
 * measured one after the other.
 *
 * @typedef {object} Group
 * @property {string} name
 * @property {string} title
 * @property {'short' | 'medium' | 'long' | 'longest'} slices long ones where what is counted is slow, the longest where each caller
 *   must have many turns in one, medium ones where callers go in waves
 * @property {() => { contestants: Contestant[], notes?: string[] }} make
 */

/** @type {Group[]} */
export const GROUPS = [
  {
    name: 'daemon',
    title: 'The daemon and its engine, under load that is as lean as it can be made',
    slices: 'short',
    make: () => ({
      contestants: [
        rawPing,
        pipelined(1),
        pipelined(10),
        pipelined(100),
        pipelined(1000, [perSecond(250_000)]),
        echoConnections(100),
        lockConnections(100),
        echoConnections(500),
        lockConnections(500),
        engine,
      ],
    }),
  },
  {
    name: 'remote',
    title: 'Callers with keys of their own, over TCP',
    slices: 'short',
    make() {
      const { contestants, notes } = withRedis();
      return { contestants: [rawPing, rawPipelined(1000), ...contestants, ...remoteContestants()], notes };
    },
  },
  {
    name: 'dropin',
    title: 'Objects with keys of their own: the drop-in, a plain client, and LockClient',
    slices: 'short',
    make: () => ({
      contestants: daemons().flatMap((daemon) => [connectionEach(daemon), dropIn(daemon), remote(100, daemon)]),
    }),
  },
  {
    name: 'signals',
    title: 'Signals of 100 bytes, published by LockClient, each listener a SignalConnection',
    slices: 'short',
    make: () => ({ contestants: signals }),
  },
  {
    name: 'embedded',
    title: 'Callers with keys of their own, in one process',
    slices: 'short',
    make: () => ({ contestants: [asyncMutex, embedded(1, []), embedded(100, [perSecond(400_000)])] }),
  },
  {
    name: 'nest',
    title: 'A method of a Nest provider, called one after the other',
    slices: 'short',
    make: () => ({ contestants: [openMethod, lockedMethod] }),
  },
  {
    name: 'hot',
    title: 'One key that all want',
    slices: 'long',
    make: () => ({
      contestants: [pacedEcho, ...daemons().flatMap((daemon) => [hotKey(1, daemon), hotKey(4, daemon)])],
    }),
  },
  {
    name: 'redis',
    title: 'Callers with keys of their own, on Redis',
    slices: 'medium',
    make: () => onRedis(ownKeysOnRedis),
  },
  {
    name: 'redis',
    title: 'One key that all want, on Redis',
    slices: 'long',
    make: () => onRedis((redis) => [pacedRedis(redis), ...hotKeyOnRedis(redis)]),
  },
  {
    name: 'postgres',
    title: 'Callers with keys of their own, on Postgres',
    slices: 'medium',
    make: () => onPostgres(ownKeysOnPostgres),
  },
  {
    name: 'postgres',
    title: 'One key that all want, on Postgres',
    slices: 'longest',
    make: () => onPostgres(hotKeyOnPostgres),
  },
];

const daemons = () => [ownDaemon, ...givenDaemon()];

const remoteContestants = () =>
  daemons().flatMap((daemon) => [connectionEach(daemon), remote(1, daemon), remote(100, daemon), remote(1000, daemon)]);

/** @param {(redis: import('../support/servers.mjs').Server) => Contestant[]} contestantsOn */
function onRedis(contestantsOn) {
  const file = findRedis();
  return file === undefined
    ? { contestants: [], notes: ['Left out: no redis-server.'] }
    : { contestants: contestantsOn(redisAt(file)) };
}

/** @param {(servers: object) => Contestant[]} contestantsOn */
function onPostgres(contestantsOn) {
  const bin = findPostgres();
  if (bin === undefined) return { contestants: [], notes: ['Left out: no Postgres server.'] };
  const file = findRedis();
  // A server for this package and one for the recipes: neither pays for what the other leaves behind.
  const contestants = contestantsOn({
    postgres: postgresAt(bin, 'ours', ROOMY),
    recipes: postgresAt(bin, 'recipes', ROOMY),
    redis: file === undefined ? undefined : redisAt(file),
  });
  return {
    contestants,
    notes: [ROOM_NOTE, ...(file === undefined ? ['Without packages on Redis: no redis-server.'] : [])],
  };
}

function withRedis() {
  const file = findRedis();
  if (file === undefined) return { contestants: [], notes: ['Without redlock and redis-semaphore: no redis-server.'] };
  const redis = redisAt(file);
  return { contestants: [redlock(redis), redisSemaphore(redis)] };
}
