import { DEFAULT_HOST, DEFAULT_PORT } from '../../protocol/limits.js';
import { encodeRequest } from '../../protocol/request-encoder.js';
import { type ConnectOptions, dialAt } from './dial.js';
import { readStats } from './replies.js';
import { ANSWER_MS, SocketLines } from './socket-lines.js';

/** A lock that is held, or waited for. */
export interface StatsLock {
  key: string;
  owner_conn_id: number;
  lease_expires_in_s: number;
  waiters: number;
}

export interface StatsSemaphore {
  key: string;
  limit: number;
  holders: number;
  waiters: number;
}

/** A key that nobody uses, not yet forgotten. */
export interface StatsIdleLock {
  key: string;
  idle_s: number;
}

/** As StatsIdleLock. */
export interface StatsIdleSemaphore {
  key: string;
  idle_s: number;
}

/** What a server tells about itself. */
export interface Stats {
  connections: number;
  locks: StatsLock[];
  semaphores: StatsSemaphore[];
  idle_locks: StatsIdleLock[];
  idle_semaphores: StatsIdleSemaphore[];
}

/** Asks a server over a connection of its own. @throws LockError, AuthError, or the error of the socket */
export async function stats(options: ConnectOptions = {}): Promise<Stats> {
  const socket = await dialAt(options, DEFAULT_HOST, DEFAULT_PORT);
  try {
    const lines = SocketLines.of(socket);
    const asked = lines.ask(encodeRequest({ t: 'stats' }));
    lines.expect(ANSWER_MS, 'stats');
    return readStats<Stats>(await asked);
  } finally {
    socket.destroy();
  }
}
