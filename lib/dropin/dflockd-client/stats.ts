import { DEFAULT_HOST, DEFAULT_PORT } from '../../protocol/limits.js';
import { encodeRequest } from '../../protocol/request-encoder.js';
import { type ConnectOptions, dialAt } from './dial.js';
import { readStats } from './replies.js';
import { ANSWER_MS, SocketLines } from './socket-lines.js';

/** A lock with a holder or waiters. */
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

/** An unused key that has not been removed yet. */
export interface StatsIdleLock {
  key: string;
  idle_s: number;
}

/** Like StatsIdleLock. */
export interface StatsIdleSemaphore {
  key: string;
  idle_s: number;
}

/** The statistics of a server. */
export interface Stats {
  connections: number;
  locks: StatsLock[];
  semaphores: StatsSemaphore[];
  idle_locks: StatsIdleLock[];
  idle_semaphores: StatsIdleSemaphore[];
}

/** Requests the statistics over a separate connection. @throws LockError, AuthError, or the error of the socket */
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
