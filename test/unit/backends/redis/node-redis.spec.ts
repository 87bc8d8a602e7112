import { describe, expect, it } from '@jest/globals';
import {
  destroyed,
  type NodeRedis,
  NodeRedisDialer,
  notConnected,
} from '../../../../lib/backends/redis/drivers/node-redis.js';
import { ConfigError } from '../../../../lib/common/errors.js';
import { Heard } from './fake-connection-events.js';
import { FakeNodeClient, OldNodeClient, type Options } from './fake-clients.js';
import { turn } from './scripted-redis.js';

const dialerOf = (options?: Options, node?: { host: string; port: number }) => {
  const user = new FakeNodeClient(options);
  return { user, dialer: new NodeRedisDialer(user, node) };
};

/** A connection, and the client that it is made of. */
async function dialed(options?: Options, node?: { host: string; port: number }) {
  const { user, dialer } = dialerOf(options, node);
  const heard = new Heard();
  const connection = dialer.dial('commands', heard);
  connection.ready.catch(() => undefined);
  await turn();
  return { connection, heard, client: user.made[0]! };
}

describe('a client of node-redis', () => {
  it.each<[Options | undefined, string]>([
    [undefined, 'localhost:6379'],
    [{}, 'localhost:6379'],
    [{ socket: { host: 'db', port: '7000' } }, 'db:7000'],
    [{ socket: { host: '::1' } }, '[::1]:6379'],
    [{ socket: { host: 'db', path: '/run/redis.sock' } }, '/run/redis.sock'],
  ])('of the options %j is named %s', (options, server) => {
    const { dialer } = dialerOf(options);
    expect([dialer.server, dialer.isSentinel]).toEqual([server, false]);
  });

  it('is named by the node that it is used for', () => {
    expect(dialerOf({ socket: { path: '/x' } }, { host: 'n', port: 2 }).dialer.server).toBe('n:2');
  });

  it.each<[Options, string, number]>([
    [{}, '', 5000],
    [{ keyPrefix: 'app:', socket: { connectTimeout: 300 } }, 'app:', 300],
    [{ socket: { connectTimeout: 0 } }, '', 5000],
  ])('of the options %j has the prefix %j; dialing takes at most %d ms', (options, prefix, timeoutMs) => {
    const { dialer } = dialerOf(options);
    expect([dialer.keyPrefix, dialer.timeoutMs]).toEqual([prefix, timeoutMs]);
  });

  it.each([
    ['of which its library knows nothing', new OldNodeClient({ keyPrefix: 'app:' }), ''],
    ['that is null', new FakeNodeClient({ keyPrefix: null }), ''],
    ['of bytes', new FakeNodeClient({ keyPrefix: Buffer.from('app:') }), 'app:'],
  ])('with a keyPrefix %s has the prefix that its own commands have', (_what, user, prefix) => {
    expect(new NodeRedisDialer(user).keyPrefix).toBe(prefix);
  });

  it('is duplicated with options that make it drop what fails', async () => {
    const { client } = await dialed({
      password: 'hunter2',
      url: 'redis://x',
      keyPrefix: 'app:',
      socket: { host: 'db', tls: true },
    });
    const { socket, ...options } = client.options as Record<string, unknown>;
    const { signal, ...rest } = socket as { signal: AbortSignal };
    expect(signal.aborted).toBe(false);
    expect(rest).toEqual({ host: 'db', tls: true, reconnectStrategy: false, connectTimeout: 5000 });
    expect(options).toEqual({
      password: 'hunter2',
      name: 'nestjs-dflockd',
      RESP: 2,
      commandOptions: { timeout: 0 },
      disableOfflineQueue: true,
      legacyMode: false,
      readonly: false,
      emitInvalidate: false,
      maintNotifications: 'disabled',
    });
  });

  it('is dialed at the node that it is used for', async () => {
    const { client } = await dialed(
      { socket: { host: 'db', path: '/x', connectTimeout: 300 } },
      { host: 'n', port: 2 },
    );
    expect(client.options.socket).toMatchObject({ host: 'n', port: 2, path: undefined, connectTimeout: 300 });
  });
});

describe('a connection of node-redis', () => {
  it('is ready when it is connected, or says why not', async () => {
    const { connection, client } = await dialed();
    let isReady = false;
    void connection.ready.then(() => (isReady = true));
    await turn();
    expect(isReady).toBe(false);
    client.connected();
    await turn();
    expect(isReady).toBe(true);
    const refused = await dialed();
    refused.client.failed(new Error('ECONNREFUSED'));
    await expect(refused.connection.ready).rejects.toThrow('ECONNREFUSED');
  });

  it('sends commands as they are', async () => {
    const { connection, client } = await dialed();
    expect(await connection.call(['EVALSHA', 'A', '0'])).toBe('reply');
    expect(client.asked).toEqual(['EVALSHA A 0']);
  });

  it('subscribes and unsubscribes, sharded or not, and tells of messages', async () => {
    const { connection, client, heard } = await dialed();
    await connection.subscribe('a', false);
    await connection.subscribe('b', true);
    client.listeners_.get('a')!('one', 'a');
    client.listeners_.get('b')!(Buffer.from('two'), 'b');
    await connection.unsubscribe('a', false);
    await connection.unsubscribe('b', true);
    expect(client.asked).toEqual(['subscribe a', 'sSubscribe b', 'unsubscribe a', 'sUnsubscribe b']);
    expect(heard.log).toEqual(['a: one', 'b: two']);
  });

  it('tells of keys that have changed', async () => {
    const { connection, client, heard } = await dialed();
    await connection.subscribe('__redis__:invalidate', false);
    const tell = client.listeners_.get('__redis__:invalidate')!;
    tell(['lock:a', 'lock:b'], '');
    tell(null, '');
    expect(heard.log).toEqual(['invalidated lock:a,lock:b', 'invalidated null']);
  });

  it.each([
    ['has ended', (client: FakeNodeClient) => client.emit('end'), 'the connection has ended'],
    ['has failed', (client: FakeNodeClient) => client.emit('error', new Error('reset')), 'reset'],
    ['has lost a slot', (client: FakeNodeClient) => client.emit('sharded-channel-moved'), 'MOVED a sharded channel'],
  ])('that %s says so, once', async (_how, happen, text) => {
    const { client, heard } = await dialed();
    happen(client);
    client.emit('end');
    client.emit('error', new Error('again'));
    expect(heard.log).toEqual([`closed ${text}`]);
  });

  it('that is given up says nothing any more; its client is destroyed again when it has given up to connect', async () => {
    const { connection, client, heard } = await dialed();
    await connection.subscribe('a', false);
    await connection.subscribe('__redis__:invalidate', false);
    let isGone = false;
    const gone = connection.destroy().then(() => (isGone = true));
    // Not in the turn in which the library may be reading.
    expect(client.asked).not.toContain('destroy');
    await turn();
    expect([client.asked.filter((one) => one === 'destroy').length, isGone]).toEqual([1, false]);
    client.emit('error', new Error('reset'));
    client.listeners_.get('a')!('late', 'a');
    client.listeners_.get('__redis__:invalidate')!(null, '');
    client.failed(new Error('not needed'));
    await gone;
    expect(client.asked.filter((one) => one === 'destroy')).toHaveLength(2);
    expect(heard.log).toEqual([]);
  });

  it('that is given up before it has a client makes none', async () => {
    const { user, dialer } = dialerOf();
    const connection = dialer.dial('commands', new Heard());
    const ready = connection.ready.catch((error: Error) => error.message);
    await connection.destroy();
    expect([await ready, user.made]).toEqual(['not needed any more', []]);
  });
});

describe('a client of node-redis that is not needed any more', () => {
  it('is destroyed, or disconnected in version 4', async () => {
    const client = new FakeNodeClient();
    await destroyed(client);
    let isOver = false;
    const disconnect = async (): Promise<void> => {
      await turn();
      isOver = true;
    };
    await destroyed({ disconnect } as unknown as NodeRedis);
    expect([client.asked, isOver]).toEqual([['destroy'], true]);
  });

  it('may be none, or not open', async () => {
    const destroy = (): never => {
      throw new Error('The client is closed');
    };
    await expect(destroyed(undefined)).resolves.toBeUndefined();
    await expect(destroyed({} as NodeRedis)).resolves.toBeUndefined();
    await expect(destroyed({ destroy } as unknown as NodeRedis)).resolves.toBeUndefined();
    await expect(destroyed({ disconnect: async () => destroy() } as unknown as NodeRedis)).resolves.toBeUndefined();
  });

  it('and one that is not connected yet is told how', () => {
    const error = notConnected('a pool of node-redis');
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toBe(
      'a pool of node-redis must be connected before locks are used with it; await its connect() first',
    );
  });
});
