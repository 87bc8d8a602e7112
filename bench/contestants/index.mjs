import { perSecond } from '../support/goals.mjs';
import { findRedis } from '../support/redis.mjs';
import { givenDaemon, ownDaemon, redisAt } from '../support/servers.mjs';
import { asyncMutex, connectionEach, dropIn, embedded, redisSemaphore, redlock, remote } from './callers.mjs';
import { echoConnections, lockConnections } from './connections.mjs';
import { engine } from './engine.mjs';
import { hotKey, pacedEcho } from './hot-key.mjs';
import { lockedMethod, openMethod } from './nest.mjs';
import { pipelined } from './pipelined.mjs';
import { rawPing, rawPipelined } from './raw-ping.mjs';
import { signals } from './signals.mjs';

/**
 * What a slice counts.
 *
 * @typedef {object} Slice
 * @property {number} count
 * @property {number} ms
 * @property {number} clientCpuMs
 * @property {number} [serverCpuMs] unknown for a server that is not ours, absent without one
 * @property {Record<string, number>} [measures] other measurements
 */

/**
 * One line of a table. `versus` names other contestants of the group; the ratio to each is computed slice by slice,
 * within a round. Every contestant is also compared with the first of its group.
 *
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} unit what is counted
 * @property {string[]} [versus]
 * @property {import('../support/goals.mjs').Goal[]} [goals]
 * @property {(stage: import('../support/stage.mjs').Stage) => Promise<{ slice(ms: number): Promise<Slice> }>} start
 */

/**
 * Contestants whose slices are interleaved. A group has its own servers and clients, and one table.
 *
 * @typedef {object} Group
 * @property {string} name
 * @property {string} title
 * @property {'short' | 'long'} slices long ones for slow contestants
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
];

const daemons = () => [ownDaemon, ...givenDaemon()];

const remoteContestants = () =>
  daemons().flatMap((daemon) => [connectionEach(daemon), remote(1, daemon), remote(100, daemon), remote(1000, daemon)]);

function withRedis() {
  const file = findRedis();
  if (file === undefined) return { contestants: [], notes: ['Without redlock and redis-semaphore: no redis-server.'] };
  const redis = redisAt(file);
  return { contestants: [redlock(redis), redisSemaphore(redis)] };
}
