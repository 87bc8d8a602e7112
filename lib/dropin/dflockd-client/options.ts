import type { ConnectionOptions } from 'node:tls';
import { LockError } from '../../common/errors.js';
import { show } from '../../common/shown.js';
import type { ShardingStrategy } from '../../locks/options/options.js';
import { DEFAULT_HOST, DEFAULT_PORT } from '../../protocol/limits.js';
import { shardOf } from '../../protocol/shard.js';
import { checkCount, checkLease, checkName, checkRatio, checkText, checkWait } from './checks.js';

/** Of a lock of one's own connection. */
export interface DistributedLockOptions {
  /** Not empty, without NUL, LF and CR. */
  key: string;
  /** Seconds to wait for the lock, a whole number; 0 tries once. Default 10. */
  acquireTimeoutS?: number | undefined;
  /** Seconds a lock outlives its holder's silence, a whole number of 1 or more. Default: the server's. */
  leaseTtlS?: number | undefined;
  /** Shards: a key lives on one of them. Default: the one of `host` and `port`. */
  servers?: Array<[host: string, port: number]> | undefined;
  /** @deprecated Use `servers`. Default 127.0.0.1. */
  host?: string | undefined;
  /** @deprecated Use `servers`. Default 6388. */
  port?: number | undefined;
  /** Which of the servers has the key. Default `stableHashShard`. */
  shardingStrategy?: ShardingStrategy | undefined;
  /** Part of the lease after which it is renewed, strictly between 0 and 1. Default 0.5. */
  renewRatio?: number | undefined;
  /** `{}` is TLS with the system's certificate authorities. Default: none. */
  tls?: ConnectionOptions | undefined;
  /** Sent first on every connection; empty: none. */
  auth?: string | undefined;
  /** Called once when a lock that was held has been lost. What it throws or rejects with is swallowed. */
  onLockLost?: ((key: string, token: string) => void) | undefined;
  /** Milliseconds for TCP and TLS. Default: as long as the machine tries. */
  connectTimeoutMs?: number | undefined;
  /** Milliseconds without data after which the connection is given up; not while waiting for a lock. Default: none. */
  socketTimeoutMs?: number | undefined;
}

export interface DistributedSemaphoreOptions extends DistributedLockOptions {
  /** Slots, a whole number of 1 or more; the same for all who use the key. */
  limit: number;
}

/** CRC-32 of the key, modulo: which of `numServers` servers has it. @throws LockError if `numServers` is not above 0 */
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

/** A copy. */
export const serversOf = ({ servers, host, port }: DistributedLockOptions): Array<[string, number]> =>
  servers ? servers.map(([name, at]) => [name, at]) : [[host ?? DEFAULT_HOST, port ?? DEFAULT_PORT]];

/** The server of the key, as the strategy says. @throws LockError */
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
