import { ConfigError } from '../../common/errors.js';
import { shardOf } from '../../protocol/shard.js';
import type { RemoteConfig } from './lanes/config.js';

/**
 * The index of the server that has a key, or a channel: by the option `remote.shardingStrategy` or, without it, by the
 * hash of the key that every client of dflockd uses.
 * @throws ConfigError for a strategy that throws, or that returns anything but an index
 */
export function chooseShard(key: string, servers: number, strategy: RemoteConfig['shardingStrategy']): number {
  if (!strategy) return servers === 1 ? 0 : shardOf(key, servers);
  let shard: unknown;
  try {
    shard = strategy(key, servers);
  } catch (cause) {
    throw new ConfigError(`option remote.shardingStrategy: threw ${String(cause)}`, { cause });
  }
  if (Number.isInteger(shard) && (shard as number) >= 0 && (shard as number) < servers) return shard as number;
  throw new ConfigError(
    `option remote.shardingStrategy: expected an index of 0 to ${servers - 1}, got ${String(shard)}`,
  );
}
