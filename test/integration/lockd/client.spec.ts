import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  connect,
  LockdClient,
  LockError,
  LockKeyError,
  LockUnavailableError,
  listen,
  ProtocolError,
  UnsupportedError,
  type LockdServer,
} from '../../../lib/entries/lockd.js';
import { inTime, until } from '../../support/until.js';
import { canReadTimers, keepAliveMs } from './harness.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const clientOf = (tcp: string, options: { readTimeout?: number; timeout?: number } = {}): LockdClient => {
  const client = connect({ tcp, ...options });
  client.on('error', () => undefined);
  ends.push(() => client.disconnect());
  return client;
};

const portOf = (server: LockdServer): string => `127.0.0.1:${server.address()!.port}`;

/** What a method of Node's style calls back with. */
const called = (start: (callback: (...values: any[]) => void) => unknown): Promise<unknown[]> =>
  new Promise((resolve, reject) => {
    const returned = start((...values) => resolve(values));
    if (returned !== undefined) reject(new Error('a call with a callback returned something'));
  });

describe('the client of lockd', () => {
  let server: LockdServer;
  let tcp: string;
  beforeAll(async () => {
    server = listen({ tcp: '127.0.0.1:0' });
    await once(server, 'ready');
    tcp = portOf(server);
  });
  afterAll(() => server.destroy());

  it.each(['foo', '', ' a  b ', 'constructor', '__proto__', '\u20ac', 'a: b', 'a\rb'])(
    'has every method, with callbacks and with promises: %j',
    async (name) => {
      const [a, b] = [clientOf(tcp), clientOf(tcp)];
      expect(await called((cb) => a.get(name, cb))).toEqual([null, 1, `Lock Get Success: ${name}`]);
      expect(await called((cb) => b.get(name, cb))).toEqual([
        expect.objectContaining({ message: `Lock Get Failure: ${name}`, code: 'LOCKD_FAILURE', key: name }),
      ]);
      await expect(b.get(name)).rejects.toBeInstanceOf(LockError);
      expect(await a.get(name)).toBe(1);
      expect(await called((cb) => b.inspect(name, cb))).toEqual([null, 1, `Lock Is Locked: ${name}`]);
      expect(await called((cb) => b.release(name, cb))).toEqual([new LockError(`Lock Release Failure: ${name}`)]);
      expect(await called((cb) => a.release(name, cb))).toEqual([null, 1, `Lock Release Success: ${name}`]);
      expect(await called((cb) => b.inspect(name, cb))).toEqual([null, 0, `Lock Not Locked: ${name}`]);
      expect(await b.inspect(name)).toBe(0);
      expect(await called((cb) => b.inspectShared(name, cb))).toEqual([null, 0, `Shared Lock Not Locked: ${name}`]);
      expect(await called((cb) => a.getShared(name, cb))).toEqual([null, 1, `Shared Lock Get Success: ${name}`]);
      expect(await b.getShared(name)).toBe(2);
      expect(await called((cb) => a.inspectShared(name, cb))).toEqual([null, 2, `Shared Lock Is Locked: ${name}`]);
      expect(await called((cb) => a.releaseShared(name, cb))).toEqual([
        null,
        1,
        `Shared Lock Release Success: ${name}`,
      ]);
      expect(await called((cb) => a.releaseShared(name, cb))).toEqual([
        new LockError(`Shared Lock Release Failure: ${name}`),
      ]);
      expect(await b.releaseShared(name)).toBe(1);
    },
  );

  it('lists locks, holders and clients, whatever their names are', async () => {
    const [a, b] = [clientOf(tcp), clientOf(tcp)];
    const [{ addr: addressA }, { addr: addressB }] = [await a.getName(), await b.getName()];
    expect(await a.dump()).toEqual({});
    expect(await a.dump('none')).toBeNull();
    expect(await a.dumpShared('none')).toEqual([]);
    expect(await a.listClients()).toEqual({});
    expect(await a.listClients('none')).toBeNull();
    for (const name of ['__proto__', 'x', 'y: z', '']) await a.get(name);
    for (const name of ['__proto__', 's']) await Promise.all([a.getShared(name), b.getShared(name)]);
    expect(await b.setName('b b')).toBe(1);
    expect(await b.getName()).toEqual({ addr: addressB, name: 'b b' });
    const locks = await b.dump();
    expect(Object.entries(locks)).toEqual([
      ['__proto__', addressA],
      ['x', addressA],
      ['y', `z: ${addressA}`],
      ['', addressA],
    ]);
    expect(await b.dump('y: z')).toBe(addressA);
    expect(await b.dump('__proto__')).toBe(addressA);
    expect(Object.entries(await b.dumpShared())).toEqual([
      ['__proto__', [addressA, 'b b']],
      ['s', [addressA, 'b b']],
    ]);
    expect(await b.dumpShared('__proto__')).toEqual([addressA, 'b b']);
    expect(await called((cb) => a.setName('a', cb))).toEqual([null, 1, 'ok']);
    expect(await a.listClients()).toEqual({ 'b b': addressB, a: addressA });
    expect(await a.listClients('b b')).toBe(addressB);
    await a.setName('b b');
    expect(await a.listClients()).toEqual({ 'b b': addressA });
    await a.setName('');
    expect(await called((cb) => a.getName(cb))).toEqual([null, addressA, addressA]);
    expect(await called((cb) => a.dump(cb))).toEqual([null, expect.anything()]);
    expect(await called((cb) => a.dump(null, cb))).toEqual([null, expect.objectContaining({ x: addressA })]);
    expect(await called((cb) => a.dump('x', cb))).toEqual([null, addressA]);
    expect(await called((cb) => a.dumpShared('s', cb))).toEqual([null, [addressA, 'b b']]);
    expect(await called((cb) => a.listClients(cb))).toEqual([null, expect.anything()]);
  });

  it('notices a lost server before that gives the locks to others', async () => {
    if (!canReadTimers) return;
    const client = clientOf(tcp);
    const { addr } = await client.getName();
    // The server asks after 60 s of silence, and both sides ask for 10 s.
    expect(await keepAliveMs(Number(addr.split(':')[1]), server.address()!.port)).toBeLessThanOrEqual(30_000);
  });

  it('reads the counters, without waiting for more', async () => {
    const client = clientOf(tcp);
    const before = await client.getStats();
    const stats = await client.getStats();
    expect(stats['command_q']).toBe(before['command_q']! + 1);
    expect(Object.keys(stats)).toEqual(Object.keys(stats).sort());
    expect(await called((cb) => client.getStats(cb))).toEqual([null, expect.objectContaining({ locks: 0 })]);
  });

  it.each([
    ['a line break', 'two\ng evil'],
    ['a CR at the end', 'two\r'],
    ['half a surrogate pair', '\ud800'],
    ['more bytes than fit into a line', '\u20ac'.repeat(22_000)],
    ['a number', 7],
  ])('refuses a name that has or is %s, before anything is sent', async (_, name) => {
    const client = clientOf(tcp);
    const bad = name as string;
    for (const call of [
      () => client.get(bad),
      () => client.release(bad),
      () => client.inspect(bad),
      () => client.getShared(bad),
      () => client.releaseShared(bad),
      () => client.inspectShared(bad),
      () => client.dump(bad),
      () => client.dumpShared(bad),
      () => client.setName(bad),
      () => client.listClients(bad),
    ]) {
      await expect(call()).rejects.toBeInstanceOf(LockKeyError);
    }
    expect(await called((cb) => client.get(bad, cb))).toEqual([expect.any(LockKeyError)]);
    expect(await client.inspect('evil')).toBe(0);
  });

  it.each([
    [() => connect({} as never), 'No valid lockd connection method given.'],
    [() => connect({ tcp: 'a b' }), 'Invalid [host:]port string: a b'],
    [() => connect({ tcp: 'host:' }), 'Invalid [host:]port string: host:'],
    [() => connect({ tcp: 'a/b:1' }), 'Invalid [host:]port string: a/b:1'],
    [() => connect({ tcp: '0' }), 'Port 0 is not valid.'],
    [() => connect({ tcp: 'h:65536' }), 'Port 65536 is not valid.'],
    [() => connect({ tcp: '1', readTimeout: 0 }), 'option readTimeout'],
    [() => connect({ tcp: '1', timeout: '5' as never }), 'option timeout'],
    [() => connect({ tcp: '1', reconnect: true } as never), 'option reconnect is unknown'],
    [() => listen({} as never), 'No connection methods given.'],
    [() => listen({ tcp: '1', features: { dump: 1 as never } }), 'option features.dump'],
  ])('refuses wrong options: %#', (start, message) => {
    let error: unknown;
    try {
      start();
    } catch (e) {
      error = e;
    }
    expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringContaining(message) });
  });

  it('refuses a callback that is none', () => {
    expect(() => clientOf(tcp).get('x', 'callback' as never)).toThrow(/callback must be a function/);
  });

  it('calls back after the call has returned, also if nothing was sent', async () => {
    const client = clientOf(tcp);
    let hasReturned = false;
    const order = called((cb) => client.get('bad\n', () => cb(hasReturned)));
    hasReturned = true;
    expect(await order).toEqual([true]);
  });

  it('disconnect frees the locks before it settles, and settles as often as it is called', async () => {
    const [a, b] = [clientOf(tcp), clientOf(tcp)];
    await a.get('asdf');
    let closed = 0;
    a.on('close', () => closed++);
    const asked = a.inspect('asdf');
    const queued = a.inspect('asdf');
    const [first, second] = [a.disconnect(), called((cb) => a.disconnect(cb))];
    expect(await asked).toBe(1);
    await expect(queued).rejects.toBeInstanceOf(LockUnavailableError);
    expect(await Promise.all([first, second])).toEqual([undefined, [null]]);
    expect(await b.get('asdf')).toBe(1);
    await a.disconnect();
    await expect(a.get('x')).rejects.toBeInstanceOf(LockUnavailableError);
    expect(closed).toBe(0);
  });

  it('close of the server waits for clients, and serves them; destroy cuts them off', async () => {
    const other = listen({ tcp: '0' });
    await once(other, 'ready');
    const client = clientOf(portOf(other));
    await client.get('a');
    let isClosed = false;
    const closed = other.close().then(() => (isClosed = true));
    expect(await client.get('b')).toBe(1);
    expect(other.address()).toBeNull();
    expect(isClosed).toBe(false);
    await client.disconnect();
    await closed;
    const third = listen({ tcp: '0' });
    await once(third, 'ready');
    const lost = clientOf(portOf(third));
    await lost.get('a');
    const close = once(lost, 'close');
    expect(await called((cb) => third.destroy(cb))).toEqual([null]);
    await close;
    await expect(lost.get('b')).rejects.toBeInstanceOf(LockUnavailableError);
  });

  it('a server is ready once, when it serves, and not before who started it can listen for that', async () => {
    const other = listen({ tcp: '0' });
    ends.push(() => other.destroy());
    let times = 0;
    const addresses: unknown[] = [];
    other.on('error', (error) => addresses.push(error));
    other.on('ready', () => {
      times++;
      addresses.push(other.address());
    });
    expect([times, other.address()]).toEqual([0, null]);
    await once(other, 'ready');
    expect(addresses).toEqual([{ host: '127.0.0.1', port: expect.any(Number) }]);
    expect(await clientOf(portOf(other)).get('a')).toBe(1);
    await other.destroy();
    expect(times).toBe(1);
  });

  it('a server whose port is taken emits an error, and is never ready', async () => {
    const other = listen({ tcp });
    let isReady = false;
    other.on('ready', () => (isReady = true));
    const [error] = await new Promise<unknown[]>((resolve) => other.once('error', (...all) => resolve(all)));
    expect(error).toMatchObject({ code: 'CONFIG' });
    await other.close();
    expect([isReady, other.address()]).toEqual([false, null]);
  });

  it.each([
    ['close', '0'],
    ['destroy', '0'],
    ['close', ''],
    ['destroy', ''],
  ] as const)('a server is neither ready nor fails after %s, on port %j', async (method, port) => {
    const other = listen({ tcp: port || tcp });
    const events: unknown[] = [];
    other.on('ready', () => events.push('ready', other.address()));
    other.on('error', (error) => events.push(error));
    await other[method]();
    // Of `listen`, what has not been emitted yet.
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).toEqual([]);
  });

  it.each([
    [{ dump: false }, ['dump', 'dumpShared'], 'The dump feature of the lockd server is disabled.'],
    [{ dump: false }, ['listClients'], 'The dump and/or registry features of the lockd server are disabled.'],
    [{ registry: false }, ['listClients'], 'The dump and/or registry features of the lockd server are disabled.'],
    [{ registry: false }, ['setName'], 'The registry feature of the lockd server is disabled.'],
  ] as const)(
    'without a feature (%j), %j fail, and later calls get their own answers',
    async (features, methods, text) => {
      const other = listen({ tcp: '0', features });
      ends.push(() => other.destroy());
      await once(other, 'ready');
      const client = clientOf(portOf(other));
      for (const method of methods) {
        const failed = client[method]('x').catch((e: unknown) => e);
        const next = client.inspect('y');
        expect(await failed).toBeInstanceOf(UnsupportedError);
        expect(await failed).toMatchObject({ message: text });
        expect(await next).toBe(0);
      }
    },
  );
});

describe('a server that misbehaves', () => {
  /** Answers each chunk as told. */
  async function scripted(answer: (chunk: string, socket: Socket, n: number) => string | undefined): Promise<string> {
    const server: Server = createServer((socket) => {
      let n = 0;
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        const reply = answer(chunk.toString('utf8'), socket, n++);
        if (reply !== undefined) socket.write(reply);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends.push(() => server.close());
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  it('a late answer closes the connection, instead of being taken for the next one', async () => {
    let late: Socket | undefined;
    const tcp = await scripted((_, socket, n) => void (n === 0 && (late = socket)));
    const client = clientOf(tcp, { readTimeout: 60 });
    const closed = once(client, 'close');
    const [a, b] = [client.get('A'), client.get('B')].map((call) => call.catch((e: unknown) => e));
    expect(await a).toMatchObject({ message: 'Expected 1 line but got 0', code: 'UNAVAILABLE' });
    expect(await b).toBeInstanceOf(LockUnavailableError);
    late!.write('1 Lock Get Success: A\n');
    await closed;
    await expect(client.get('C')).rejects.toBeInstanceOf(LockUnavailableError);
  });

  it.each([
    ['empty lines', '\n'],
    ['a line that does not end', '1'],
  ])('a server that sends only %s has not answered', async (_, piece) => {
    let drip: NodeJS.Timeout | undefined;
    ends.push(() => clearInterval(drip));
    const tcp = await scripted((_chunk, socket) => void (drip ??= setInterval(() => socket.write(piece), 10)));
    const late = { message: 'Expected 1 line but got 0' };
    for (const call of ['get', 'dump'] as const) {
      const client = clientOf(tcp, { readTimeout: 100 });
      await expect(inTime<unknown>(client[call]('A'), 'the call', 5_000)).rejects.toMatchObject(late);
      clearInterval(drip);
      drip = undefined;
    }
  });

  it.each([
    ['about another name', '1 Lock Get Success: B\n'],
    ['to another command', '1 Lock Release Success: A\n'],
    ['with a wrong number', '0 Lock Get Success: A\n'],
    ['of another kind', 'hello\n'],
  ])('an answer %s closes the connection', async (_, answer) => {
    const client = clientOf(await scripted(() => answer));
    const closed = once(client, 'close');
    await expect(client.get('A')).rejects.toBeInstanceOf(ProtocolError);
    await closed;
  });

  it('0 is a failure of getShared, too: this server has no room for another name', async () => {
    const client = clientOf(await scripted(() => '0 Shared Lock Get Failure: A\n'));
    await expect(client.getShared('A')).rejects.toMatchObject({ message: 'Shared Lock Get Failure: A' });
  });

  it('data that no call has asked for is an error event, and no answer', async () => {
    const tcp = await scripted(() => '\n\r\n1 Lock Get Success: A\r\n1 Lock Get Success: B\n');
    const client = connect({ tcp });
    ends.push(() => client.disconnect());
    const errors: string[] = [];
    client.on('error', ({ message }: Error) => errors.push(message));
    expect(await client.get('A')).toBe(1);
    await until(() => errors.length === 1);
    expect(errors).toEqual(['Unexpected data received from lockd server: 1 Lock Get Success: B']);
  });

  it('a refused connection answers all calls, and emits error and close', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const client = connect({ tcp: `${port}` });
    const events: unknown[] = [];
    client.on('error', ({ code }: NodeJS.ErrnoException) => events.push(code));
    client.on('close', () => events.push('close'));
    const calls = [client.get('A'), client.dump(), client.getStats()].map((call) =>
      (call as Promise<unknown>).catch((e: unknown) => e),
    );
    for (const call of calls) expect(await inTime(call, 'the call')).toBeInstanceOf(LockUnavailableError);
    await until(() => events.length === 2);
    expect(events).toEqual(['ECONNREFUSED', 'close']);
    await client.disconnect();
  });

  it('a reset answers the call in progress and those behind it, also if nobody listens for errors', async () => {
    const tcp = await scripted((_, socket) => void socket.resetAndDestroy());
    const client = connect({ tcp });
    for (const call of [client.get('A'), client.get('B')])
      await expect(call).rejects.toBeInstanceOf(LockUnavailableError);
  });

  it('FIN is a closed connection', async () => {
    const tcp = await scripted((_, socket) => void socket.end());
    const client = connect({ tcp });
    const closed = once(client, 'close');
    await expect(client.get('A')).rejects.toMatchObject({ message: 'the server closed the connection' });
    await closed;
  });

  it('glockd, which loses pipelined lines, is asked again: lists end, and no answer is shifted', async () => {
    const sent: string[] = [];
    const tcp = await scripted((chunk) => {
      sent.push(chunk);
      const [line] = chunk.split('\n');
      if (line === 'd') return 'a: 127.0.0.1:1\nb: 127.0.0.1:2\n';
      if (line === 'd none') return undefined;
      if (line!.startsWith('i ')) return `0 Lock Not Locked: ${line!.slice(2)}\r\n`;
      return `1 Lock Get Success: ${line!.slice(2).trim()}\r\n`;
    });
    const client = clientOf(tcp, { readTimeout: 150 });
    const [locks, none, got] = [client.dump(), client.dump('none'), client.get('a  b ')];
    expect(await locks).toEqual({ a: '127.0.0.1:1', b: '127.0.0.1:2' });
    expect(await none).toBeNull();
    // That is how glockd calls it.
    expect(await got).toBe(1);
    expect(sent[0]).toMatch(/^d\ni fence-[0-9a-f]{32}\n$/);
    expect(sent[1]).toMatch(/^i fence-[0-9a-f]{32}\n$/);
    expect(sent[2]).toBe('d none\n');
  });

  it('a slow lockd answers both questions, and the list is complete', async () => {
    let first: string | undefined;
    const tcp = await scripted((chunk) => {
      if (first === undefined) {
        first = chunk.split('\n')[1]!;
        return undefined;
      }
      if (chunk.startsWith('i fence')) {
        const answer = (line: string): string => `0 Lock Not Locked: ${line.slice(2)}\n`;
        return `a: 1\n${answer(first)}${answer(chunk.trim())}`;
      }
      return `1 Lock Get Success: ${chunk.slice(2)}`;
    });
    const client = clientOf(tcp, { readTimeout: 60 });
    const [locks, got] = [client.dump(), client.get('c')];
    expect(await locks).toEqual({ a: '1' });
    expect(await got).toBe(1);
  });

  it('a connection that is not made in time fails', async () => {
    const client = new LockdClient({ tcp: '192.0.2.1:9999', timeout: 50 });
    client.on('error', () => undefined);
    await expect(client.get('A')).rejects.toBeInstanceOf(LockUnavailableError);
  });
});
