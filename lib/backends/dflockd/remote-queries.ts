import type { ServerPool } from './server-pool.js';
import { LockError, ProtocolError } from '../../common/errors.js';
import { fromBytes, toBytes } from '../../protocol/bytes.js';
import { replyError } from '../../protocol/reply-error.js';
import type { ServerStats } from '../../protocol/server-stats.js';
import type { LockKind } from '../backend.js';

/** Sends one `ping` over a command lane. */
export function pingOne(pool: ServerPool): Promise<void> {
  return new Promise((resolve, reject) => {
    pool.whenCommand(Infinity, (lane) => {
      if (lane instanceof LockError) return reject(lane);
      lane.send({ t: 'ping' }, (outcome) => {
        if (outcome instanceof LockError) reject(outcome);
        // Servers before 1.14 reply `error`, which is a sign of life too (spec 15).
        else resolve();
      });
    });
  });
}

/** The lists that every version has (spec 5). */
const LISTS = ['locks', 'semaphores', 'idle_locks', 'idle_semaphores'];

/** @throws SyntaxError, TypeError */
function parseStats(json: string): Omit<ServerStats, 'server'> {
  const stats: unknown = JSON.parse(json);
  const missing = LISTS.filter((name) => !Array.isArray((stats as Record<string, unknown> | null)?.[name]));
  if (missing.length > 0) throw new TypeError(`missing ${missing.join(', ')}`);
  return stats as Omit<ServerStats, 'server'>;
}

/** A server's stats, over the control lane because the reply may be long. */
export function statsOf(pool: ServerPool): Promise<ServerStats> {
  const { server } = pool;
  return new Promise((resolve, reject) => {
    pool.ask({ t: 'stats' }, (outcome) => {
      if (outcome instanceof LockError) return reject(outcome);
      if (outcome.s !== 'stats') return reject(replyError(outcome, 'stats', undefined, server));
      try {
        resolve({ server, ...parseStats(fromBytes(outcome.json)) });
      } catch (cause) {
        reject(new ProtocolError(`${server}: malformed stats`, { server, cause }));
      }
    });
  });
}

/**
 * Whether a slot is held, according to the server's stats. The server lists a semaphore with one slot under `locks`,
 * where it looks like a lock of the same name, and also lists keys that have waiters but no holder there (spec 5).
 */
export function isLockedBy(stats: ServerStats, key: string, kind: LockKind): boolean {
  // As the server returns it: invalid UTF-8 was replaced on the way.
  const name = fromBytes(toBytes(key));
  const held = stats.locks.some((entry) => entry.key === name && entry.owner_conn_id !== 0);
  if (held || kind === 'lock') return held;
  return stats.semaphores.some((entry) => entry.key === name && entry.holders !== 0);
}
