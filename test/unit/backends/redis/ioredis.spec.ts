import { describe, expect, it } from '@jest/globals';
import { EventEmitter } from 'node:events';
import { IoredisClusterDialer, IoredisDialer } from '../../../../lib/backends/redis/drivers/ioredis.js';
import { turn } from './scripted-redis.js';
import { FakeIoredis, type Options } from './fake-clients.js';
import { Heard } from './fake-connection-events.js';

const dialerOf = (options: Options = {}, node?: { host: string; port: number }) => {
  const user = new FakeIoredis(options);
  return { user, dialer: new IoredisDialer(user, node) };
};

/** A connection, and the client that it is made of. */
function dialed(options: Options = {}) {
  const { user, dialer } = dialerOf(options);
  const heard = new Heard();
  const connection = dialer.dial('commands', heard);
  return { connection, heard, client: user.made[0]! };
}

describe('a client of ioredis', () => {
  it.each<[Options, string]>([
    [{}, 'localhost:6379'],
    [{ host: 'db', port: '7000' }, 'db:7000'],
    [{ host: '::1', port: 1 }, '[::1]:1'],
    [{ host: 'db', path: '/run/redis.sock' }, '/run/redis.sock'],
    [{ path: null, sentinels: null }, 'localhost:6379'],
    [{ sentinels: [], name: 'locks' }, 'localhost:6379'],
    [{ sentinels: [{ host: 's' }], name: 'locks', host: 'db' }, 'locks@sentinel'],
  ])('of the options %j is named %s', (options, server) => {
    expect(dialerOf(options).dialer.server).toBe(server);
  });

  it('is named by the node that it is used for', () => {
    const { dialer } = dialerOf({ sentinels: [{}], name: 'locks' }, { host: 'n', port: 2 });
    expect([dialer.server, dialer.isSentinel]).toEqual(['n:2', false]);
  });

  it.each<[Options, boolean, number]>([
    [{}, false, 10_000],
    [{ connectTimeout: 300 }, false, 300],
    [{ connectTimeout: 0 }, false, 10_000],
    [{ connectTimeout: 300, sentinels: [{}, {}] }, true, 900],
    [{ sentinels: [{}] }, true, 20_000],
  ])('of the options %j has Sentinels: %p; dialing takes at most %d ms', (options, isSentinel, timeoutMs) => {
    const { dialer } = dialerOf(options);
    expect([dialer.isSentinel, dialer.timeoutMs]).toEqual([isSentinel, timeoutMs]);
  });

  it.each<[unknown, string]>([
    [undefined, ''],
    [null, ''],
    ['app:', 'app:'],
    [Buffer.from('app:'), 'app:'],
  ])('with the keyPrefix %p has the prefix %j', (keyPrefix, prefix) => {
    expect(dialerOf({ keyPrefix }).dialer.keyPrefix).toBe(prefix);
  });

  it('is duplicated with options that make it drop what fails, by the method of its class', () => {
    const { user, dialer } = dialerOf({ keyPrefix: 'app:', password: 'hunter2', connectTimeout: 300 });
    // As the proxy of BullMQ.
    Object.assign(user, { duplicate: () => undefined });
    dialer.dial('commands', new Heard());
    const { retryStrategy, sentinelRetryStrategy, ...options } = user.made[0]!.options as Record<string, () => unknown>;
    expect([retryStrategy!(), sentinelRetryStrategy!()]).toEqual([null, null]);
    expect(options).toEqual({
      password: 'hunter2',
      lazyConnect: true,
      connectionName: 'nestjs-dflockd',
      keyPrefix: '',
      protocol: 2,
      replyMapping: 'legacy',
      stringNumbers: false,
      enableAutoPipelining: false,
      enableOfflineQueue: true,
      enableReadyCheck: false,
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      reconnectOnError: null,
      connectTimeout: 300,
      disconnectTimeout: 1,
      monitor: false,
      readOnly: false,
      role: 'master',
      showFriendlyErrorStack: false,
      failoverDetector: false,
      sentinelCommandTimeout: 300,
    });
  });

  it('is dialed at the node that it is used for, without Sentinels', () => {
    const { user, dialer } = dialerOf({ path: '/x', sentinels: [{}], host: 'db' }, { host: 'n', port: 2 });
    dialer.dial('commands', new Heard());
    expect(user.made[0]!.options).toMatchObject({ host: 'n', port: 2, path: undefined, sentinels: null });
  });

  it('asks another Sentinel first each time', () => {
    const { user, dialer } = dialerOf({ sentinels: ['a', 'b', 'c'] });
    for (let i = 0; i < 4; i++) dialer.dial('commands', new Heard());
    expect(user.made.map(({ options }) => (options.sentinels as string[]).join(''))).toEqual([
      'abc',
      'bca',
      'cab',
      'abc',
    ]);
  });

  it('keeps its Sentinels undefined without any', () => {
    const { user, dialer } = dialerOf({});
    dialer.dial('commands', new Heard());
    expect('sentinels' in user.made[0]!.options).toBe(false);
  });
});

describe('a connection of ioredis', () => {
  it('is ready when it is connected', async () => {
    const { connection, client } = dialed();
    client.connected();
    await expect(connection.ready).resolves.toBeUndefined();
  });

  it('that is refused says what the first error was, not that it was closed', async () => {
    const { connection, client } = dialed();
    client.emit('error', new Error('ECONNREFUSED'));
    client.emit('error', new Error('later'));
    client.failed(new Error('Connection is closed.'));
    await expect(connection.ready).rejects.toThrow('ECONNREFUSED');
    const silent = dialed();
    silent.client.failed(new Error('Connection is closed.'));
    await expect(silent.connection.ready).rejects.toThrow('Connection is closed.');
  });

  it('sends commands in lower case, as ioredis knows them', async () => {
    const { connection, client } = dialed();
    expect(await connection.call(['EVALSHA', 'A', '0'])).toBe('reply');
    expect(client.asked).toEqual(['evalsha A 0']);
  });

  it('subscribes and unsubscribes, sharded or not', async () => {
    const { connection, client } = dialed();
    await connection.subscribe('a', false);
    await connection.subscribe('b', true);
    await connection.unsubscribe('a', false);
    await connection.unsubscribe('b', true);
    expect(client.asked).toEqual(['subscribe a', 'ssubscribe b', 'unsubscribe a', 'sunsubscribe b']);
  });

  it('tells of messages of both kinds of channels', () => {
    const { client, heard } = dialed();
    client.emit('message', 'a', 'one');
    client.emit('smessage', 'b', 'two');
    expect(heard.log).toEqual(['a: one', 'b: two']);
  });

  it('tells of keys that have changed where it listens for them, and of nothing else in that way', async () => {
    const { connection, client, heard } = dialed();
    expect(client.listenerCount('messageBuffer')).toBe(0);
    await connection.subscribe('a', false);
    expect(client.listenerCount('messageBuffer')).toBe(0);
    await connection.subscribe('__redis__:invalidate', false);
    client.emit('message', '__redis__:invalidate', 'lock:a');
    client.emit('messageBuffer', Buffer.from('__redis__:invalidate'), [Buffer.from('lock:a'), Buffer.from('lock:b')]);
    client.emit('messageBuffer', Buffer.from('__redis__:invalidate'), null);
    client.emit('messageBuffer', Buffer.from('a'), Buffer.from('one'));
    expect(heard.log).toEqual(['invalidated lock:a,lock:b', 'invalidated null']);
  });

  it.each([
    ['has ended', (client: FakeIoredis) => client.emit('end'), 'the connection has ended'],
    ['has failed', (client: FakeIoredis) => client.emit('error', new Error('reset')) && client.emit('end'), 'reset'],
    ['has lost a slot', (client: FakeIoredis) => client.emit('moved'), 'MOVED a sharded channel'],
  ])('that %s says so', (_how, happen, text) => {
    const { client, heard } = dialed();
    happen(client);
    expect(heard.log).toEqual([`closed ${text}`]);
  });

  it('that is given up says nothing any more, and is gone when its socket is', async () => {
    const { connection, client, heard } = dialed();
    let isGone = false;
    const gone = connection.destroy().then(() => (isGone = true));
    await turn();
    expect([client.asked, isGone]).toEqual([['disconnect'], false]);
    client.emit('moved');
    client.emit('end');
    await gone;
    expect(heard.log).toEqual([]);
  });

  it('that has ended before is given up at once', async () => {
    const { connection, client } = dialed();
    client.status = 'end';
    await connection.destroy();
    expect(client.asked).toEqual([]);
  });

  it('has a listener for each error of its socket, of which ioredis expects one only', () => {
    const { client } = dialed();
    client.stream = new EventEmitter();
    client.emit('error', new Error('reset'));
    expect(() => client.stream!.emit('error', new Error('and again'))).not.toThrow();
  });
});

/** As much of `Cluster`; its probes are in `made`. */
class FakeCluster extends EventEmitter {
  readonly isCluster = true;
  readonly made: FakeCluster[] = [];
  masters: FakeIoredis[] = [];
  isDisconnected = false;
  onConnect: (probe: FakeCluster) => Promise<void> = async () => undefined;

  constructor(readonly options: Options = {}) {
    super();
  }

  duplicate(_nodes: undefined, override: Options): FakeCluster {
    const one = new FakeCluster({ ...this.options, ...override });
    Object.assign(one, { masters: this.masters, onConnect: this.onConnect });
    this.made.push(one);
    return one;
  }

  connect(): Promise<void> {
    return this.onConnect(this);
  }

  nodes(role: string): FakeIoredis[] {
    return role === 'master' ? this.masters : [];
  }

  disconnect(): void {
    this.isDisconnected = true;
  }
}

describe('a cluster of ioredis', () => {
  const dialerOf = (options: Options = {}) => {
    const cluster = new FakeCluster(options);
    cluster.masters = [new FakeIoredis({ host: 'a', port: '1' }), new FakeIoredis({ host: 'b', port: 2 })];
    return { cluster, dialer: new IoredisClusterDialer(cluster) };
  };

  it.each<[Options, string, number]>([
    [{}, '', 10_000],
    [{ keyPrefix: 'app:', redisOptions: { keyPrefix: 'other:', connectTimeout: 300 } }, 'app:', 300],
    [{ redisOptions: { keyPrefix: 'other:' } }, 'other:', 10_000],
    [{ keyPrefix: '', redisOptions: { keyPrefix: 'other:' } }, 'other:', 10_000],
    [{ keyPrefix: null, redisOptions: { keyPrefix: null } }, '', 10_000],
  ])('of the options %j has the prefix %j; dialing takes at most %d ms', (options, prefix, timeoutMs) => {
    const { dialer } = dialerOf(options);
    expect([dialer.keyPrefix, dialer.timeoutMs]).toEqual([prefix, timeoutMs]);
  });

  it('is asked for its masters by a client that gives up, and is not kept', async () => {
    const { cluster, dialer } = dialerOf({
      keyPrefix: 'app:',
      redisOptions: { password: 'hunter2', connectTimeout: 300 },
    });
    const { known, dialer: nodeDialer } = await dialer.find();
    expect(known).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ]);
    const [probe] = cluster.made;
    const { clusterRetryStrategy, redisOptions, ...options } = probe!.options;
    expect((clusterRetryStrategy as () => unknown)()).toBeNull();
    expect(options).toEqual({
      lazyConnect: true,
      keyPrefix: '',
      enableReadyCheck: false,
      shardedSubscribers: false,
      slotsRefreshTimeout: 300,
    });
    expect(redisOptions).toMatchObject({ password: 'hunter2', maxRetriesPerRequest: 0, connectTimeout: 300 });
    expect(probe!.isDisconnected).toBe(true);
    expect(nodeDialer({ host: 'b', port: 2 }).server).toBe('b:2');
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'inner:7'],
    ['null', null, 'inner:7'],
    ['a function', (address: string) => (address === 'inner:7' ? { host: 'outer', port: 9 } : null), 'outer:9'],
    ['an object', { 'inner:7': { host: 'outer', port: 9 } }, 'outer:9'],
    ['an object without it', { 'inner:8': { host: 'outer', port: 9 } }, 'inner:7'],
  ])('dials a node where natMap is %s', async (_what, natMap, server) => {
    const { dialer } = dialerOf({ natMap });
    const { dialer: nodeDialer } = await dialer.find();
    expect(nodeDialer({ host: 'inner', port: 7 }).server).toBe(server);
  });

  it('does not map twice what ioredis has mapped', async () => {
    const { dialer } = dialerOf({ natMap: { 'a:1': { host: 'twice', port: 9 } } });
    expect((await dialer.find()).dialer({ host: 'a', port: 1 }).server).toBe('a:1');
  });

  it('without a master says so', async () => {
    const { cluster, dialer } = dialerOf();
    cluster.masters = [];
    await expect(dialer.find()).rejects.toThrow('the cluster has no master');
    expect(cluster.made[0]!.isDisconnected).toBe(true);
  });

  it.each<[string, (probe: FakeCluster) => void, string]>([
    ['nothing but that', () => undefined, 'None of startup nodes is available'],
    ['the error of a node', (probe) => probe.emit('node error', new Error('ECONNREFUSED')), 'ECONNREFUSED'],
    [
      'errors of nodes, and one of its own',
      (probe) => {
        probe.emit('node error', new Error('one'));
        probe.emit('node error', new Error('two'));
        probe.emit('error', new Error('WRONGPASS'));
        probe.emit('node error', new Error('three'));
      },
      'WRONGPASS',
    ],
    [
      'the errors of two nodes',
      (probe) => {
        probe.emit('node error', new Error('one'));
        probe.emit('node error', new Error('two'));
      },
      'one',
    ],
  ])('that cannot be reached says %s', async (_what, happen, text) => {
    const { cluster, dialer } = dialerOf();
    cluster.onConnect = async (probe) => {
      happen(probe);
      throw new Error('None of startup nodes is available');
    };
    await expect(dialer.find()).rejects.toThrow(text);
    expect(cluster.made[0]!.isDisconnected).toBe(true);
  });
});
