import { ConfigError } from '../../../common/errors.js';
import { unavailable } from './redis-errors.js';

/** What INFO says of a server. */
export interface ServerInfo {
  /** `redis_version`, which all that are compatible tell; Valkey, KeyDB and Dragonfly have one of their own beside it. */
  readonly version: string;
  readonly role: 'master' | 'slave';
  /** `noeviction`, or a policy that removes keys when memory is short. */
  readonly memoryPolicy: string | undefined;
  /** 0: no limit. */
  readonly maxMemory: number | undefined;
  readonly connectedReplicas: number | undefined;
  readonly isLoading: boolean;
  readonly isCluster: boolean;
}

const OLDEST = [6, 2] as const;

export function parseInfo(text: unknown): ServerInfo {
  const fields = new Map<string, string>();
  for (const line of String(text).split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  const count = (name: string): number | undefined => {
    const value = fields.get(name);
    return value === undefined || !/^\d+$/.test(value) ? undefined : Number(value);
  };
  return {
    version: fields.get('redis_version') ?? '',
    role: fields.get('role') === 'slave' ? 'slave' : 'master',
    memoryPolicy: fields.get('maxmemory_policy'),
    maxMemory: count('maxmemory'),
    connectedReplicas: count('connected_slaves'),
    isLoading: fields.get('loading') === '1' || fields.get('async_loading') === '1',
    isCluster: fields.get('cluster_enabled') === '1' || fields.get('redis_mode') === 'cluster',
  };
}

/** Asks a server whether it can be used yet. @throws LockUnavailableError while it reads its data from disk */
export async function infoWhenLoaded(link: {
  readonly server: string;
  call(args: readonly string[]): Promise<unknown>;
}): Promise<ServerInfo> {
  const info = parseInfo(await link.call(['INFO']));
  if (info.isLoading) throw unavailable(link.server, 'it is loading its data');
  return info;
}

/** Whether a version is at least `major.minor`. One that cannot be read is taken for new. */
export function isAtLeast(version: string, major: number, minor = 0): boolean {
  const [, own, sub] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  if (own === undefined) return true;
  return Number(own) > major || (Number(own) === major && Number(sub) >= minor);
}

/**
 * Refuses a server on which locks cannot work, and returns what an operator should know of one on which they may get lost.
 * @throws ConfigError
 */
export function checkServer(info: ServerInfo, server: string, isCluster = false): string[] {
  if (!isAtLeast(info.version, ...OLDEST)) {
    throw new ConfigError(`Redis at ${server} has version ${info.version}; locks need ${OLDEST.join('.')} or newer`, {
      server,
    });
  }
  if (info.role === 'slave') {
    throw new ConfigError(
      `Redis at ${server} is a replica, which takes no locks; give the client the address of the master, or the Sentinels`,
      { server },
    );
  }
  if (info.isCluster && !isCluster) {
    throw new ConfigError(
      `Redis at ${server} is a node of a cluster; give a cluster client (Redis.Cluster of ioredis, createCluster of redis)`,
      { server },
    );
  }
  return evictionWarnings(info, server);
}

/** Locks are keys with a TTL: every policy but one may remove them while they are held. */
function evictionWarnings({ memoryPolicy, maxMemory }: ServerInfo, server: string): string[] {
  if (memoryPolicy === undefined || memoryPolicy === 'noeviction') return [];
  const now = maxMemory === 0 ? '; as long as maxmemory is 0 it removes none' : '';
  return [
    `Redis at ${server} may remove locks that are held when memory is short (maxmemory-policy ${memoryPolicy})${now}; ` +
      'set maxmemory-policy to noeviction, or keep locks on a Redis of their own',
  ];
}
