import { ConfigError, LockUnavailableError } from '../../common/errors.js';
import type { Entropy } from '../../common/system.js';
import type { RedisDriver } from './drivers/driver.js';
import { lockKeys } from './scripts/keys.js';
import { channelOf } from './scripts/messages.js';
import { probeScript } from './scripts/probe-script.js';
import { clientId } from './scripts/token.js';

/** What INFO says of a server. */
export interface ServerInfo {
  /** Such as `7.0.15`; of Valkey the version of Redis that it is compatible with. */
  readonly version: string;
  /** `master`, or `slave`. */
  readonly role: string;
  /** `noeviction`, or which keys are evicted. */
  readonly maxmemoryPolicy: string;
  readonly connectedReplicas: number;
}

const INFO = ['INFO', 'server', 'memory', 'replication'];
/** For SET … GET. */
const LEAST_VERSION = [6, 2] as const;

/** A field of the answer to INFO. */
const field = (info: string, name: string): string | undefined =>
  new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];

export async function serverInfo(driver: RedisDriver): Promise<ServerInfo> {
  let info: string;
  try {
    info = String(await driver.command(undefined, INFO));
  } catch (error) {
    // Before Redis 7, INFO takes one section.
    if (error instanceof LockUnavailableError) throw error;
    info = String(await driver.command(undefined, ['INFO']));
  }
  return {
    version: field(info, 'redis_version') ?? 'unknown',
    role: field(info, 'role') ?? 'unknown',
    maxmemoryPolicy: field(info, 'maxmemory_policy') ?? 'unknown',
    connectedReplicas: Number(field(info, 'connected_slaves') ?? 0),
  };
}

/**
 * Whether the server is one that can hold locks.
 * @param warn told what an operator should change
 * @throws ConfigError that names the cure
 */
export function checkServer(server: string, info: ServerInfo, warn: (message: string) => void): void {
  const { version, role, maxmemoryPolicy } = info;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = LEAST_VERSION;
  if (version !== 'unknown' && (major < leastMajor || (major === leastMajor && minor < leastMinor))) {
    throw new ConfigError(
      `Redis at ${server} is version ${version}; locks need ${LEAST_VERSION.join('.')} or later: upgrade the server`,
      { server },
    );
  }
  if (role === 'slave') {
    throw new ConfigError(
      `Redis at ${server} is a replica, which takes no writes: give a client that is connected to the master, or to the Sentinels`,
      { server },
    );
  }
  if (maxmemoryPolicy === 'noeviction' || maxmemoryPolicy === 'unknown') return;
  warn(
    `Redis at ${server} evicts keys when its memory is full (maxmemory-policy ${maxmemoryPolicy}), locks among them: ` +
      'set the policy to noeviction, or keep locks on a server of their own',
  );
}

/** The id of this client, which begins with how messages to it are delivered. Subscribes its channel where it has only one. */
export async function findClient(driver: RedisDriver, entropy: Entropy): Promise<string> {
  if (driver.isSharded) return clientId('s', entropy);
  if (driver.isCluster) {
    const client = clientId('u', entropy);
    await driver.subscribe(channelOf(client, ''));
    return client;
  }
  const client = clientId('x', entropy);
  const channel = channelOf(client, '');
  await driver.subscribe(channel);
  // A proxy may keep subscribers elsewhere: then the number of receivers says nothing.
  const heard = await driver.eval(probeScript, [lockKeys('', false).fence], ['PUBLISH', channel, 'probe']);
  if (heard === 1) return client;
  driver.unsubscribe(channel);
  const unsure = clientId('u', entropy);
  await driver.subscribe(channelOf(unsure, ''));
  return unsure;
}
