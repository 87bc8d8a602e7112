import type { ServerPool } from './server-pool.js';
import { LockError, ProtocolError } from '../../common/errors.js';
import { fromBytes, toBytes } from '../../protocol/bytes.js';
import { replyError } from '../../protocol/reply-error.js';
import type { ServerStats } from '../../protocol/server-stats.js';
import type { LockKind } from '../backend.js';

/** One exchange over a command lane. */
export function pingOne(pool: ServerPool): Promise<void> {
  return new Promise((resolve, reject) => {
    pool.whenCommand(Infinity, (lane) => {
      if (lane instanceof LockError) return reject(lane);
      lane.send({ t: 'ping' }, (outcome) => {
        if (outcome instanceof LockError) reject(outcome);
        // Before 1.14 the answer is `error`, which is a sign of life too (spec 15).
        else resolve();
      });
    });
  });
}

/** What all versions have (spec 5). */
const LISTS = ['locks', 'semaphores', 'idle_locks', 'idle_semaphores'];

/** @throws SyntaxError, TypeError */
function parseStats(json: string): Omit<ServerStats, 'server'> {
  const stats: unknown = JSON.parse(json);
  const missing = LISTS.filter((name) => !Array.isArray((stats as Record<string, unknown> | null)?.[name]));
  if (missing.length > 0) throw new TypeError(`without ${missing.join(', ')}`);
  return stats as Omit<ServerStats, 'server'>;
}

/** What a server says about itself, over the control lane: the answer may be long. */
export function statsOf(pool: ServerPool): Promise<ServerStats> {
  const { server } = pool;
  return new Promise((resolve, reject) => {
    pool.ask({ t: 'stats' }, (outcome) => {
      if (outcome instanceof LockError) return reject(outcome);
      if (outcome.s !== 'stats') return reject(replyError(outcome, 'stats', undefined, server));
      try {
        resolve({ server, ...parseStats(fromBytes(outcome.json)) });
      } catch (cause) {
        reject(new ProtocolError(`${server}: stats that make no sense`, { server, cause }));
      }
    });
  });
}

/**
 * Whether somebody holds a slot, by all that the server knows. It files a semaphore with one slot under `locks`, where
 * it cannot be told from a lock of the same name, and does so too with what has waiters but no holder (spec 5).
 */
export function isLockedBy(stats: ServerStats, key: string, kind: LockKind): boolean {
  // As it comes back: what is no UTF-8 was replaced on the way.
  const name = fromBytes(toBytes(key));
  const held = stats.locks.some((entry) => entry.key === name && entry.owner_conn_id !== 0);
  if (held || kind === 'lock') return held;
  return stats.semaphores.some((entry) => entry.key === name && entry.holders !== 0);
}
