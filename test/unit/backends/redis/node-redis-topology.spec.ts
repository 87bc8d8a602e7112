import { describe, expect, it } from '@jest/globals';
import { EventEmitter } from 'node:events';
import {
  type NodeRedisCluster,
  NodeRedisClusterDialer,
  type NodeRedisPool,
  NodeRedisPoolDialer,
  type NodeRedisSentinel,
  NodeRedisSentinelDialer,
} from '../../../../lib/backends/redis/drivers/node-redis-topology.js';
import { ConfigError } from '../../../../lib/common/errors.js';
import { Heard } from './fake-connection-events.js';
import { FakeNodeClient, type Options } from './fake-clients.js';
import { turn } from './scripted-redis.js';

/** Dials, and gives the outcome so far: the client that was made, or why there is none. */
async function dialed(dialer: NodeRedisPoolDialer | NodeRedisSentinelDialer): Promise<unknown> {
  const { ready } = dialer.dial('commands', new Heard());
  let failure: unknown;
  ready.catch((error: unknown) => (failure = error));
  await turn();
  return failure;
}

describe('a pool of node-redis', () => {
  const poolOf = (isOpen: boolean, prefix?: string | Buffer) => {
    const client = new FakeNodeClient({ socket: { host: 'db' } });
    const pool = {
      isOpen,
      totalClients: 1,
      _keyPrefix: prefix,
      execute: async (fn: (one: unknown) => unknown) => fn(client),
    };
    return { client, dialer: new NodeRedisPoolDialer(pool as unknown as NodeRedisPool) };
  };

  it('is a template for connections', async () => {
    const { client, dialer } = poolOf(true);
    expect(await dialed(dialer)).toBeUndefined();
    expect(client.made.map(({ options }) => options)).toMatchObject([
      { name: 'nestjs-dflockd', socket: { host: 'db' } },
    ]);
    expect([dialer.server, dialer.isSentinel, dialer.timeoutMs]).toEqual(['the pool of node-redis', false, 5000]);
  });

  it.each<[unknown, string]>([
    [undefined, ''],
    ['app:', 'app:'],
    [Buffer.from('app:'), 'app:'],
  ])('with the prefix %p has the prefix %j', (given, prefix) => {
    expect(poolOf(true, given as string).dialer.keyPrefix).toBe(prefix);
  });

  it('must be connected', async () => {
    const error = await dialed(poolOf(false).dialer);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ message: expect.stringContaining('a pool of node-redis must be connected') });
  });
});

/** As much of the Sentinel client of node-redis 6, which keeps its options to itself. */
class FakeSentinel extends EventEmitter {
  readonly isOpen: boolean = true;
  readonly made: FakeSentinel[] = [];
  readonly master = new FakeNodeClient({ socket: { host: 'master', port: 1 } });
  isDestroyed = false;
  onConnect: (probe: FakeSentinel) => Promise<void> = async () => undefined;
  readonly #options: Options;

  constructor(options: Options) {
    super();
    this.#options = options;
  }

  duplicate(override: Options = {}): FakeSentinel {
    const Made = this.constructor as typeof FakeSentinel;
    const one = new Made({ ...this.#options, ...override });
    Object.assign(one, { master: this.master, onConnect: this.onConnect });
    this.made.push(one);
    return one;
  }

  get seen(): Options {
    return this.#options;
  }

  get _keyPrefix(): unknown {
    return this.#options['keyPrefix'];
  }

  connect(): Promise<void> {
    return this.onConnect(this);
  }

  async destroy(): Promise<void> {
    this.isDestroyed = true;
    throw new Error('never mind');
  }

  getMasterNode(): { host: string; port: number } | undefined {
    return { host: 'm', port: 2 };
  }

  async _execute(isReadonly: boolean, fn: (client: FakeNodeClient) => unknown): Promise<unknown> {
    return isReadonly ? undefined : fn(this.master);
  }
}

/** As node-redis itself: the options are those of the object, private, but `duplicate` gives them to the constructor. */
class OpenSentinel extends FakeSentinel {
  constructor(readonly given: Options) {
    super(given);
  }

  override duplicate(override: Options = {}): FakeSentinel {
    const Made = this.constructor as typeof OpenSentinel;
    const one = new Made({ ...this.given, ...override });
    Object.assign(one, { master: this.master, onConnect: this.onConnect });
    this.made?.push(one);
    return one;
  }
}

describe('a Sentinel client of node-redis 6', () => {
  const OPTIONS = {
    name: 'locks',
    keyPrefix: 'app:',
    sentinelRootNodes: ['a', 'b', 'c'],
    nodeClientOptions: { password: 'hunter2', socket: { connectTimeout: 300, tls: true } },
    sentinelClientOptions: { password: 'other' },
  };
  const dialerOf = (sentinel: FakeSentinel) => new NodeRedisSentinelDialer(sentinel as unknown as NodeRedisSentinel);

  it('is named by its master, and has the prefix and the timeouts of its options', () => {
    const { server, keyPrefix, timeoutMs, isSentinel } = dialerOf(new OpenSentinel(OPTIONS));
    expect([server, keyPrefix, timeoutMs, isSentinel]).toEqual(['locks@sentinel', 'app:', 1200, true]);
  });

  it('of version 5, which has no prefixes, has none', () => {
    const sentinel = new OpenSentinel(OPTIONS);
    Object.defineProperty(sentinel, '_keyPrefix', { value: undefined });
    expect(dialerOf(sentinel).keyPrefix).toBe('');
  });

  it('whose options nobody sees is named by what is known', () => {
    const { server, keyPrefix, timeoutMs } = dialerOf(new FakeSentinel(OPTIONS));
    expect([server, keyPrefix, timeoutMs]).toEqual(['master@sentinel', 'app:', 5000]);
  });

  it('is asked for the master by one that gives up, and another Sentinel first each time', async () => {
    const sentinel = new OpenSentinel(OPTIONS);
    const dialer = dialerOf(sentinel);
    sentinel.made.length = 0;
    expect([await dialed(dialer), await dialed(dialer)]).toEqual([undefined, undefined]);
    const [first, second] = sentinel.made.map((one) => (one as OpenSentinel).given) as [Options, Options];
    expect([first.sentinelRootNodes, second.sentinelRootNodes]).toEqual([
      ['a', 'b', 'c'],
      ['b', 'c', 'a'],
    ]);
    expect(first).toMatchObject({
      maxCommandRediscovers: 0,
      masterPoolSize: 1,
      replicaPoolSize: 0,
      reserveClient: false,
      scanInterval: 0,
      clientSideCache: undefined,
      passthroughClientErrorEvents: false,
      nodeClientOptions: {
        password: 'hunter2',
        socket: { tls: true, reconnectStrategy: false, connectTimeout: 300, socketTimeout: 300 },
      },
      sentinelClientOptions: { password: 'other', socket: { connectTimeout: 5000, socketTimeout: 5000 } },
    });
    expect(sentinel.made.map(({ isDestroyed }) => isDestroyed)).toEqual([true, true]);
    expect(sentinel.master.made.map(({ options }) => options.socket)).toMatchObject([
      { host: 'master' },
      { host: 'master' },
    ]);
  });

  it('whose options nobody sees is asked without changing them', async () => {
    const sentinel = new FakeSentinel(OPTIONS);
    const dialer = dialerOf(sentinel);
    sentinel.made.length = 0;
    expect(await dialed(dialer)).toBeUndefined();
    const { sentinelRootNodes, nodeClientOptions } = sentinel.made[0]!.seen;
    expect([sentinelRootNodes, nodeClientOptions]).toEqual([OPTIONS.sentinelRootNodes, OPTIONS.nodeClientOptions]);
  });

  it.each<[string, (probe: FakeSentinel) => void, string]>([
    ['what connect says', () => undefined, 'no Sentinel'],
    ['its error', (probe) => probe.emit('error', new Error('WRONGPASS')), 'WRONGPASS'],
    ['the error of a client', (probe) => probe.emit('client-error', { error: new Error('reset') }), 'reset'],
  ])('that finds none says %s', async (_what, happen, text) => {
    const sentinel = new OpenSentinel(OPTIONS);
    sentinel.onConnect = async (probe) => {
      happen(probe);
      throw new Error('no Sentinel');
    };
    const dialer = dialerOf(sentinel);
    sentinel.made.length = 0;
    expect(await dialed(dialer)).toMatchObject({ message: text });
    expect(sentinel.made[0]!.isDestroyed).toBe(true);
  });
});

describe('a Sentinel client of node-redis 5, which cannot be duplicated', () => {
  const sentinelOf = (change: object = {}) => {
    const sentinel = new FakeSentinel({});
    Object.assign(sentinel, { duplicate: undefined }, change);
    return { sentinel, dialer: new NodeRedisSentinelDialer(sentinel as unknown as NodeRedisSentinel) };
  };

  it('tells itself which server is the master', async () => {
    const { sentinel, dialer } = sentinelOf();
    expect([await dialed(dialer), await dialed(dialer)]).toEqual([undefined, undefined]);
    expect(sentinel.master.made.map(({ options }) => options.socket)).toMatchObject([
      { host: 'm', port: 2 },
      { host: 'm', port: 2 },
    ]);
  });

  it('is asked for its client once', async () => {
    let times = 0;
    const { sentinel, dialer } = sentinelOf();
    Object.assign(sentinel, {
      _execute: async (_: boolean, fn: (client: FakeNodeClient) => unknown) => (times++, fn(sentinel.master)),
    });
    await dialed(dialer);
    await dialed(dialer);
    expect(times).toBe(1);
  });

  it('must be connected', async () => {
    const error = await dialed(sentinelOf({ isOpen: false }).dialer);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ message: expect.stringContaining('the Sentinel client of node-redis 5') });
  });

  it('without a master says so', async () => {
    const error = await dialed(sentinelOf({ getMasterNode: () => undefined }).dialer);
    expect(error).toMatchObject({ message: 'the Sentinels name no master that is connected' });
  });
});

/** As much of a cluster of node-redis 5 or newer. */
class FakeCluster extends EventEmitter {
  readonly made: FakeCluster[] = [];
  readonly asked: string[] = [];
  masters = [
    { host: 'a', port: 1, address: 'a:1' },
    { host: 'b', port: 2, address: 'b:2' },
  ];
  clientOf: (node: { host: string; port: number }) => unknown = ({ host, port }) =>
    new FakeNodeClient({ socket: { host: `${host}-mapped`, port } });
  onConnect: (probe: FakeCluster) => Promise<void> = async () => undefined;

  constructor(readonly given: Options = {}) {
    super();
  }

  duplicate(override: Options = {}): FakeCluster {
    const Made = this.constructor as typeof FakeCluster;
    const one = new Made({ ...this.given, ...override });
    Object.assign(one, { masters: this.masters, clientOf: this.clientOf, onConnect: this.onConnect });
    this.made?.push(one);
    return one;
  }

  /** From version 6. */
  get _keyPrefix(): unknown {
    return this.given['keyPrefix'];
  }

  connect(): Promise<void> {
    return this.onConnect(this);
  }

  destroy(): void {
    this.asked.push('destroy');
  }

  nodeClient(node: { host: string; port: number }): unknown {
    this.asked.push(`client of ${node.host}`);
    return this.clientOf(node);
  }
}

/** That of version 4: its options are nowhere to be seen. */
class OldCluster extends FakeCluster {
  override get _keyPrefix(): undefined {
    return undefined;
  }

  override duplicate(override: Options = {}): FakeCluster {
    if (!(this instanceof EventEmitter) || !Object.hasOwn(this, 'given')) throw new TypeError('private');
    return super.duplicate(override);
  }
}

describe('a cluster of node-redis', () => {
  const dialerOf = (cluster: FakeCluster) => {
    const dialer = new NodeRedisClusterDialer(cluster as unknown as NodeRedisCluster);
    cluster.made.length = 0;
    return dialer;
  };

  it('of version 5, which has no prefixes, has none', () => {
    const cluster = new FakeCluster({ keyPrefix: 'app:' });
    Object.defineProperty(cluster, '_keyPrefix', { value: undefined });
    expect(dialerOf(cluster).keyPrefix).toBe('');
  });

  it('has the prefix and the timeout of its options', () => {
    const known = dialerOf(new FakeCluster({ keyPrefix: 'app:', defaults: { socket: { connectTimeout: 300 } } }));
    const unknown = dialerOf(new OldCluster({ keyPrefix: 'app:' }));
    expect([known.keyPrefix, known.timeoutMs, unknown.keyPrefix, unknown.timeoutMs]).toEqual(['app:', 300, '', 5000]);
  });

  it('is asked for its masters by one that gives up, and is not kept', async () => {
    const cluster = new FakeCluster({ defaults: { password: 'hunter2', socket: { tls: true } } });
    const dialer = dialerOf(cluster);
    expect((await dialer.find()).known).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ]);
    const [probe] = cluster.made;
    expect(probe!.given).toMatchObject({
      minimizeConnections: true,
      useReplicas: false,
      defaults: {
        password: 'hunter2',
        socket: { tls: true, reconnectStrategy: false, connectTimeout: 5000, socketTimeout: 5000 },
      },
    });
    // One client is enough where the options are known.
    expect(probe!.asked).toEqual(['client of a', 'destroy']);
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'c:3'],
    ['a function', (address: string) => (address === 'c:3' ? { host: 'outer', port: 9 } : undefined), 'outer:9'],
    ['an object', { 'c:3': { host: 'outer', port: 9 } }, 'outer:9'],
  ])('dials a node where nodeAddressMap is %s', async (_what, nodeAddressMap, server) => {
    const { dialer } = await dialerOf(new FakeCluster({ nodeAddressMap })).find();
    expect(dialer({ host: 'c', port: 3 }).server).toBe(server);
  });

  it('of version 4 is asked for each client, to see where it maps the address', async () => {
    const cluster = new OldCluster();
    cluster.masters.push({ host: 'c', port: 3, address: 'c:3' }, { host: 'd', port: 4, address: 'd:4' });
    cluster.clientOf = ({ host, port }) => {
      if (host === 'a') return Promise.reject(new Error('down'));
      return new FakeNodeClient(host === 'd' ? {} : { socket: { host: `${host}-mapped`, port } });
    };
    const { dialer } = await dialerOf(cluster).find();
    expect(cluster.made[0]!.asked).toEqual(['client of a', 'client of b', 'client of c', 'client of d', 'destroy']);
    const nodes = ['a', 'b', 'c', 'd'].map((host, i) => dialer({ host, port: i + 1 }).server);
    expect(nodes).toEqual(['a:1', 'b-mapped:2', 'c-mapped:3', 'd:4']);
    expect(cluster.made[0]!.given).not.toHaveProperty('defaults');
  });

  it('whose masters do not answer says so', async () => {
    const cluster = new FakeCluster();
    cluster.clientOf = () => Promise.reject(new Error('down'));
    await expect(dialerOf(cluster).find()).rejects.toThrow('the cluster has no master that answers');
    expect(cluster.made[0]!.asked.at(-1)).toBe('destroy');
  });

  it('that cannot be reached says why', async () => {
    const cluster = new FakeCluster();
    cluster.onConnect = async (probe) => {
      probe.emit('error', new Error('WRONGPASS'));
      throw new Error('none of the root nodes');
    };
    await expect(dialerOf(cluster).find()).rejects.toThrow('WRONGPASS');
    cluster.onConnect = async () => {
      throw new Error('none of the root nodes');
    };
    await expect(dialerOf(cluster).find()).rejects.toThrow('none of the root nodes');
  });
});
