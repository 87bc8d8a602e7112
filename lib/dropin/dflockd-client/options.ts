import type { ConnectionOptions } from 'node:tls';
import { LockError } from '../../common/errors.js';
import { show } from '../../common/shown.js';
import type { ShardingStrategy } from '../../locks/options/options.js';
import { DEFAULT_HOST, DEFAULT_PORT } from '../../protocol/limits.js';
import { shardOf } from '../../protocol/shard.js';
import { checkCount, checkLease, checkName, checkRatio, checkText, checkWait } from './checks.js';

/** The options of a lock. */
export interface DistributedLockOptions {
  /** Must not be empty, or contain NUL, LF or CR. */
  key: string;
  /** Seconds to wait for the lock, a whole number; 0 tries once. Default 10. */
  acquireTimeoutS?: number | undefined;
  /** Seconds that a lock stays held without a renewal, a whole number of 1 or more. Default: the server's. */
  leaseTtlS?: number | undefined;
  /** Shards: each key lives on one of them. Default: the server at `host` and `port`. */
  servers?: Array<[host: string, port: number]> | undefined;
  /** @deprecated Use `servers`. Default 127.0.0.1. */
  host?: string | undefined;
  /** @deprecated Use `servers`. Default 6388. */
  port?: number | undefined;
  /** Which of the servers has the key. Default `stableHashShard`. */
  shardingStrategy?: ShardingStrategy | undefined;
  /** The part of the lease after which it is renewed, strictly between 0 and 1. Default 0.5. */
  renewRatio?: number | undefined;
  /** `{}` is TLS with the system's certificate authorities. Default: none. */
  tls?: ConnectionOptions | undefined;
  /** The auth token, sent first on every connection; empty: none. */
  auth?: string | undefined;
  /** Called once when a held lock is lost. Errors that it throws or rejects with are ignored. */
  onLockLost?: ((key: string, token: string) => void) | undefined;
  /** Milliseconds for TCP and TLS. Default: as long as the operating system tries. */
  connectTimeoutMs?: number | undefined;
  /** Milliseconds without data after which the connection is closed; not while waiting for a lock. Default: none. */
  socketTimeoutMs?: number | undefined;
}

export interface DistributedSemaphoreOptions extends DistributedLockOptions {
  /** Slots, a whole number of 1 or more; the same for all users of the key. */
  limit: number;
}

/** The index of the server for a key: its CRC-32 modulo `numServers`. @throws LockError if that is not above 0 */
export const stableHashShard: ShardingStrategy = (key, numServers) => {
  if (!(numServers > 0)) throw new LockError(`numServers must be greater than 0, got ${numServers}`);
  return shardOf(key, numServers);
};

export function checkOptions(options: DistributedLockOptions): void {
  const { key, acquireTimeoutS = 10, leaseTtlS, servers, renewRatio = 0.5, auth = '' } = options;
  checkName('key', key);
  checkWait('acquireTimeoutS', acquireTimeoutS);
  checkLease(leaseTtlS);
  if (servers?.length === 0) throw new LockError('servers must not be empty');
  checkRatio(renewRatio);
  checkText('auth', auth);
}

export const checkLimit = (limit: unknown): void => checkCount('limit', limit);

/** The servers, copied. */
export const serversOf = ({ servers, host, port }: DistributedLockOptions): Array<[string, number]> =>
  servers ? servers.map(([name, at]) => [name, at]) : [[host ?? DEFAULT_HOST, port ?? DEFAULT_PORT]];

/** The server that the strategy chooses for the key. @throws LockError if its result is not an index */
export function chooseServer(
  key: string,
  servers: ReadonlyArray<[string, number]>,
  strategy: ShardingStrategy,
): [string, number] {
  const index: unknown = strategy(key, servers.length);
  const server = Number.isInteger(index) ? servers[index as number] : undefined;
  if (server) return server;
  throw new LockError(`shardingStrategy must return an integer from 0 to ${servers.length - 1}, got ${show(index)}`);
}
