import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ListeningPort } from '../../../lib/daemon/shared/listening-port.js';
import { type Network, openPort } from '../../../lib/daemon/shared/open-port.js';
import { DflockdServer } from '../../../lib/daemon/server.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { freePort } from '../../support/free-port.mjs';
import { inTime, until } from '../../support/until.js';
import { Wire } from '../../support/wire.js';
import { PING, useDaemons } from './harness.js';

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all!.some(({ address }) => address === '::1'));
const families = hasIpv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];

/** Hosts of which this machine has all addresses. */
const here = (hosts: string[][]): string[][] => hosts.filter((pair) => hasIpv6 || !pair.join().includes('::'));

const inBrackets = (host: string): string => (host.includes(':') ? `[${host}]` : host);

describe('a port that is taken proves that nobody else serves it', () => {
  const start = useDaemons();
  const others: Server[] = [];
  afterEach(() => {
    for (const other of others.splice(0)) other.close();
  });

  /** Another program's listener; returns the port. */
  async function occupy(host: string, port = 0, ipv6Only = false): Promise<number> {
    const server = createServer((socket) => socket.destroy()).listen({ host, port, ipv6Only });
    others.push(server);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  it.each(
    here([
      ['localhost', '::1'],
      ['localhost', '127.0.0.1'],
      ['::1', 'localhost'],
      ['127.0.0.1', 'localhost'],
      ['LOCALHOST.', '::1'],
      ['localhost', 'localhost'],
      ['0.0.0.0', '::'],
      ['::', '0.0.0.0'],
      ['0.0.0.0', '::1'],
      ['::1', '0.0.0.0'],
      ['::', '::1'],
      ['::', '127.0.0.1'],
      ['127.0.0.1', '::'],
      ['127.0.0.1', '::ffff:127.0.0.1'],
      ['0.0.0.0', '127.0.0.1'],
      ['0.0.0.0', 'localhost'],
      ['::', 'localhost'],
      ['127.0.0.1', '::1'],
    ]),
  )('%s, and %s beside it: the second is refused', async (first, second) => {
    const { port } = (await start({ host: first })).address;
    const refusal = { code: 'CONFIG', message: expect.stringContaining('in use') };
    await expect(start({ host: second, port })).rejects.toMatchObject(refusal);
    const listen = `${inBrackets(second)}:${port}`;
    await expect(LockClient.connect({ embedded: { listen } })).rejects.toMatchObject(refusal);
  });

  it('two addresses that nothing leads to both of are two servers', async () => {
    const { port } = (await start({ host: '127.0.0.1' })).address;
    await start({ host: '127.0.0.2', port });
  });

  it('a name opens every address it stands for, all on one port, and close closes all', async () => {
    const { server, address } = await start({ host: 'localhost' });
    for (const host of families) {
      const wire = await Wire.tcp({ host, port: address.port });
      expect(await wire.ask(PING)).toBe('ok');
      wire.destroy();
    }
    await server.close();
    for (const host of families) {
      await expect(Wire.tcp({ host, port: address.port })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    }
  });

  it.each(families)('a name of which %s is taken opens nothing', async (taken) => {
    const port = await occupy(taken);
    await expect(start({ host: 'localhost', port })).rejects.toThrow('in use');
    for (const rest of families.filter((host) => host !== taken)) await occupy(rest, port);
  });

  it('a listener for IPv6 only keeps the wildcards of both families away', async () => {
    if (!hasIpv6) return;
    const port = await occupy('::', 0, true);
    await expect(start({ host: '0.0.0.0', port })).rejects.toThrow('in use');
    await expect(start({ host: '::', port })).rejects.toThrow('in use');
  });

  it('of two that start at once on addresses of localhost, at most one serves', async () => {
    for (let round = 0; round < 5; round++) {
      const port = await freePort();
      const hosts = [families[0]!, families.at(-1)!];
      const starts = await Promise.allSettled(hosts.map((host) => start({ host, port })));
      expect(starts.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1);
    }
  });

  it('close during the start leaves nothing open', async () => {
    const port = await freePort();
    const server = new DflockdServer({ host: 'localhost', port });
    const listening = server.listen();
    await inTime(server.close(), 'close');
    await expect(listening).rejects.toThrow('closed');
    expect(server.address()).toBeUndefined();
    for (const host of families) await occupy(host, port);
  });
});

describe('a port on addresses of several kinds', () => {
  const system = (error: string): Error => Object.assign(new Error(`listen ${error}`), { code: error });

  /** A machine on which names stand for other addresses, and some addresses cannot be opened. */
  function network(names: string[], broken: Record<string, string> = {}, portsInUse = 0): Network & { tried: number } {
    const fake: Network & { tried: number } = {
      tried: 0,
      lookup: async () => names,
      isServed: async () => false,
      listen: (server, host, port) => {
        if (broken[host]) return Promise.reject(system(broken[host]));
        if (port !== 0 && fake.tried++ < portsInUse) return Promise.reject(system('EADDRINUSE'));
        return new Promise((resolve) => server.listen({ host, port, exclusive: true }, resolve));
      },
    };
    return fake;
  }

  const open = (host: string, net: Network, port = 0) =>
    openPort(
      host,
      port,
      (socket) => socket.destroy(),
      () => undefined,
      net,
    );

  it.each(['EADDRNOTAVAIL', 'EAFNOSUPPORT'])('localhost needs no IPv6 where the machine has none: %s', async (code) => {
    const port = await open('localhost', network(['127.0.0.1', '::1'], { '::1': code }));
    expect(port.address).toEqual({ host: '127.0.0.1', port: expect.any(Number) });
    port.close();
  });

  it('fails where none of the loopback addresses can be opened', async () => {
    const net = network([], { '127.0.0.1': 'EADDRNOTAVAIL', '::1': 'EADDRNOTAVAIL' });
    await expect(open('localhost', net)).rejects.toThrow('cannot listen on localhost:0: listen EADDRNOTAVAIL');
  });

  it('a name that also stands for an address of another machine opens nothing', async () => {
    const net = network(['127.0.0.1', '192.0.2.1'], { '192.0.2.1': 'EADDRNOTAVAIL' });
    const port = await freePort();
    await expect(open('locks', net, port)).rejects.toMatchObject({ code: 'CONFIG', server: `locks:${port}` });
    (await open('127.0.0.1', network([]), port)).close();
  });

  it('where any port will do, takes one that is free on all addresses', async () => {
    const net = network(['127.0.0.1', '127.0.0.2'], {}, 3);
    const port = await open('locks', net);
    expect(net.tried).toBe(4);
    port.close();
  });

  it('gives up where no port is free on all of them', async () => {
    await expect(open('locks', network(['127.0.0.1', '127.0.0.2'], {}, Infinity))).rejects.toThrow('in use');
  });

  it('serves nobody before all addresses are open', async () => {
    const served: unknown[] = [];
    let wire: Wire | undefined;
    const net = network(['127.0.0.1', '127.0.0.2']);
    const { listen } = net;
    net.listen = async (server, host, port, only) => {
      if (host === '127.0.0.2') {
        wire = await Wire.tcp({ host: '127.0.0.1', port });
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        expect(served).toEqual([]);
        throw system('EADDRNOTAVAIL');
      }
      return listen(server, host, port, only);
    };
    await expect(
      openPort(
        'locks',
        0,
        (socket) => served.push(socket),
        () => undefined,
        net,
      ),
    ).rejects.toThrow('cannot listen');
    await wire!.whenClosed();
    expect(served).toEqual([]);
  });

  it('hands over nobody who has gone before all addresses are open', async () => {
    const served: Socket[] = [];
    const net = network(['127.0.0.1', '127.0.0.2']);
    const { listen } = net;
    net.listen = async (server, host, port, only) => {
      await listen(server, host, port, only);
      if (host !== '127.0.0.1') return;
      const accepted = once(server, 'connection');
      const wire = await Wire.tcp({ host, port: (server.address() as AddressInfo).port });
      const [socket] = (await accepted) as [Socket];
      wire.reset();
      await until(() => socket.closed);
    };
    const port = await openPort(
      'locks',
      0,
      (socket) => served.push(socket),
      () => undefined,
      net,
    );
    expect(served.length).toBe(0);
    port.close();
  });
});

describe('the port of a listener', () => {
  const portOf = (): ListeningPort =>
    new ListeningPort(
      (socket) => socket.destroy(),
      () => undefined,
    );

  it('can be opened again after it was given up, and after it could not be opened', async () => {
    const at = await freePort();
    const [port, other] = [portOf(), portOf()];
    await port.open('127.0.0.1', at);
    await expect(other.open('127.0.0.1', at)).rejects.toThrow('in use');
    port.giveUp();
    expect([port.address, other.address]).toEqual([undefined, undefined]);
    await other.open('127.0.0.1', at);
    expect(other.address).toEqual({ host: '127.0.0.1', port: at });
    other.giveUp();
    await port.open('127.0.0.1', at);
    expect(port.address).toEqual({ host: '127.0.0.1', port: at });
    expect(port.stop()).toBe(undefined);
    expect([port.address, port.isStopped]).toEqual([undefined, true]);
  });

  it('that is stopped while it is being opened is closed when that promise resolves', async () => {
    const at = await freePort();
    const port = portOf();
    const opening = port.open('localhost', at);
    await port.stop();
    await opening;
    expect(port.address).toBe(undefined);
    const next = portOf();
    await next.open('localhost', at);
    next.giveUp();
  });
});

describe('a stream that has ended before it is handed over', () => {
  const start = useDaemons();

  it('is not counted, so that no shutdown waits for it', async () => {
    const { server } = await start({ shutdownTimeout: 0 });
    const stream = new PassThrough();
    stream.destroy();
    await until(() => stream.closed);
    server.handle(stream, 'gone');
    expect(server.connections).toBe(0);
    await inTime(server.close(), 'close');
  });
});
