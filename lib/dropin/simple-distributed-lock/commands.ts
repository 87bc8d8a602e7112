import { prefixOf } from '../../backends/redis/drivers/connection.js';
import { type KnownClient, recognise } from '../../backends/redis/drivers/recognise.js';
import { withoutSecrets } from '../../backends/redis/drivers/without-secrets.js';

/** What is asked of the client of the user, whichever library it is made with. */
export interface Commands {
  /** What the client puts in front of keys. */
  readonly keyPrefix: string;
  readonly isCluster: boolean;
  /**
   * Sends one command as it stands, without the prefix of the client: the companion keys of a lock have it inside their braces.
   * In a cluster `key` chooses the node. Rejects with what the client rejects with, without what is secret in it.
   */
  send(key: string, command: readonly string[]): Promise<unknown>;
}

type Prefix = string | Buffer;

interface Ioredis {
  readonly options: { readonly keyPrefix?: Prefix };
  call(command: string, args: readonly string[]): Promise<unknown>;
  sendCommand(...args: unknown[]): unknown;
}

interface NodeRedis {
  readonly options?: { readonly legacyMode?: boolean };
  /** From version 6. */
  readonly _keyPrefix?: Prefix;
  /** Of version 4 in legacy mode: with promises. */
  readonly v4?: NodeRedis;
  sendCommand(command: readonly string[]): Promise<unknown>;
}

interface NodeRedisSentinel extends Pick<NodeRedis, '_keyPrefix'> {
  sendCommand(isReadonly: boolean, command: readonly string[]): Promise<unknown>;
}

interface NodeRedisCluster extends Pick<NodeRedis, '_keyPrefix'> {
  sendCommand(key: string, isReadonly: boolean, command: readonly string[]): Promise<unknown>;
}

/** @throws ConfigError where the client is none that is known */
export function commandsOf(given: unknown): Commands {
  const commands = commandsOn(given);
  return {
    ...commands,
    async send(key, command) {
      try {
        return await commands.send(key, command);
      } catch (error) {
        throw withoutSecrets(error);
      }
    },
  };
}

function commandsOn(given: unknown): Commands {
  const { shape, client } = recognise('Lock', given) as { shape: KnownClient['shape']; client: unknown };
  switch (shape) {
    case 'ioredis':
    case 'ioredis-cluster':
      return ioredis(client as Ioredis, shape === 'ioredis-cluster');
    case 'node-redis':
    case 'node-redis-pool': {
      const own = client as NodeRedis;
      const redis = own.options?.legacyMode ? own.v4! : own;
      return nodeRedis(own, false, (_key, command) => redis.sendCommand(command));
    }
    case 'node-redis-sentinel': {
      const redis = client as NodeRedisSentinel;
      return nodeRedis(redis, false, (_key, command) => redis.sendCommand(false, command));
    }
    case 'node-redis-cluster': {
      const redis = client as NodeRedisCluster;
      return nodeRedis(redis, true, (key, command) => redis.sendCommand(key, false, command));
    }
  }
}

/**
 * ioredis puts its prefix in front of every key of a command when the command is made, by `call` too, which takes the prefix
 * from the options of its `this`. Here `this` has other options, and the client sends the command.
 */
function ioredis(client: Ioredis, isCluster: boolean): Commands {
  const unprefixed = {
    options: { keyPrefix: '' },
    sendCommand: (...args: unknown[]) => client.sendCommand(...args),
  };
  return {
    keyPrefix: prefixOf(client.options.keyPrefix),
    isCluster,
    send: (_key, [name, ...args]) => client.call.call(unprefixed, name!.toLowerCase(), args),
  };
}

const nodeRedis = (client: { _keyPrefix?: Prefix }, isCluster: boolean, send: Commands['send']): Commands => ({
  keyPrefix: prefixOf(client._keyPrefix),
  isCluster,
  send,
});
