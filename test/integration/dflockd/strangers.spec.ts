import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer as createHttp } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { LockUnavailableError } from '../../../lib/common/errors.js';
import { DflockdServer } from '../../../lib/daemon/server.js';
import type { LockEvent } from '../../../lib/locks/events/events.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { eventLogger } from '../../../lib/nest/event.logger.js';
import { selfSigned } from '../../support/certificates.js';
import { freePort } from '../../support/free-port.mjs';
import { OlderDaemon } from '../../support/older-daemon.js';
import { inTime, until } from '../../support/until.js';

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const SECRET = 'a-very-secret-token';

async function listen(server: Server, port = 0): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** Says `text` as soon as it is spoken to, or at once. */
const saying = (text: string, atOnce = false, ends = false): Promise<number> =>
  listen(
    createServer((socket) => {
      const say = (): void => void (ends ? socket.end(text, 'latin1') : socket.write(text, 'latin1'));
      if (atOnce) say();
      socket.once('data', () => atOnce || say());
    }),
  );

const echo = (): Promise<number> => listen(createServer((socket) => socket.pipe(socket)));

/** As Redis does with lines that are no commands of its own. */
const redis = (): Promise<number> =>
  listen(
    createServer((socket) => {
      socket.on('data', (data) => {
        for (const line of data.toString().split('\n').slice(0, -1)) {
          const answer = line === 'ping' ? '+PONG' : `-ERR unknown command '${line}', with args beginning with: `;
          socket.write(`${answer}\r\n`);
        }
      });
    }),
  );

async function daemon(options: ConstructorParameters<typeof DflockdServer>[0]): Promise<number> {
  const server = new DflockdServer({ port: 0, shutdownTimeout: 0.01, ...options });
  closers.push(() => server.close());
  return (await server.listen()).port;
}

async function start(port: number, remote = {}): Promise<Error> {
  const error = await inTime(
    LockClient.connect({
      servers: [`127.0.0.1:${port}`],
      startup: 'require',
      shutdownTimeoutS: 0.1,
      remote: { connectTimeoutMs: 400, ...remote },
    }).then(
      async (client) => {
        await client.close();
        return undefined;
      },
      (e: unknown) => e,
    ),
    'the start',
  );
  expect(error).toBeInstanceOf(Error);
  const { message } = error as Error;
  expect(message).toContain(`127.0.0.1:${port}`);
  expect(message).not.toContain(SECRET);
  expect(message).toMatch(/^[\x20-\x7e]*$/);
  expect(message.length).toBeLessThan(400);
  return error as Error;
}

const tlsDaemon = async (): Promise<number> => {
  const { key, cert } = await selfSigned();
  const { createServer: createTls } = await import('node:tls');
  return listen(createTls({ key, cert }));
};

describe("startup: 'require'", () => {
  it.each<[string, () => Promise<number>, RegExp]>([
    ['a Redis', redis, /Redis.*"\+PONG"/],
    ['a Redis that wants a password', () => saying('-NOAUTH Authentication required.\r\n'), /Redis.*NOAUTH/],
    ['an HTTP server', () => listen(createHttp(() => undefined)), /HTTP.*"HTTP\/1.1 400 Bad Request"/],
    ['a mute server', () => saying(''), /no answer to "ping" within 400 ms/],
    ['a TLS port', tlsDaemon, /TLS/],
    ['a TLS alert', () => saying('\x15\x03\x01\x00\x02\x02\x46', false, true), /TLS.*remote\.tls/],
    ['an SSH server', () => saying('SSH-2.0-OpenSSH_9.6\r\n', true), /SSH.*"SSH-2.0-OpenSSH_9.6"/],
    ['a memcached', () => saying('ERROR\r\nERROR\r\nERROR\r\n'), /"ERROR"/],
    ['a MySQL', () => saying('J\0\0\0\n8.0.33\0\x01\x02', true), /"J\\x00\\x00\\x00/],
    ['a server that closes at once', () => saying('', true, true), /without an answer.*--max-connections/],
    ['an echo', echo, /"ping"/],
    ['control characters', () => saying('\x1b[31m\x9b1m\u00ff\n'), /\\x1b\[31m\\x9b1m\\xff/],
    ['a line without end', () => saying('x'.repeat(100_000)), /x{40}/],
  ])('fails at %s and names what answered', async (_, serve, text) => {
    for (const auth of [undefined, SECRET]) {
      const error = await start(await serve(), { auth });
      expect(error).toBeInstanceOf(LockUnavailableError);
      // With a token the first word is another one.
      if (auth === undefined) expect(error.message).toMatch(text);
    }
  });

  it('fails at a daemon that wants a token, and says so', async () => {
    const error = await start(await daemon({ authToken: SECRET }));
    expect(error).toMatchObject({ code: 'AUTH', message: expect.stringMatching(/token.*remote\.auth/) });
  });

  it('fails at a daemon that refuses the token, and does not show it', async () => {
    const error = await start(await daemon({ authToken: 'another' }), { auth: SECRET });
    expect(error).toMatchObject({ code: 'AUTH' });
  });

  it('fails at a daemon without TLS', async () => {
    expect((await start(await daemon({}), { tls: {} })).message).toMatch(/TLS/);
  });

  it('never quotes a token that is sent back, in whole or in part', async () => {
    for (const text of [`-ERR unknown command '${SECRET}'\r\n`, `${SECRET}\n`, `unknown: ${SECRET.slice(0, 8)}`]) {
      const error = await start(await saying(text), { auth: SECRET });
      expect(error.message).not.toContain(SECRET.slice(0, 8));
    }
  });

  it('succeeds at dflockd 1.13 and older, which answers `error` to a ping', async () => {
    const older = new OlderDaemon({ port: 0, shutdownTimeout: 0.1 });
    const { port } = await older.listen();
    closers.push(() => older.close());
    const client = await LockClient.connect({ servers: [`127.0.0.1:${port}`], startup: 'require' });
    closers.push(() => client.close());
    await (await client.acquire('k')).release();
  });

  it('asks for no statistics', async () => {
    const asked: string[] = [];
    const port = await listen(
      createServer((socket) => {
        socket.on('data', (data) => {
          asked.push(data.toString());
          socket.write('ok\n');
        });
      }),
    );
    const client = await LockClient.connect({ servers: [`127.0.0.1:${port}`], startup: 'require' });
    closers.push(() => client.close());
    expect(asked.join('')).toContain('ping\n');
    expect(asked.join('')).not.toContain('stats');
  });
});

describe('a server that is none', () => {
  async function watch(server: Server, remote = {}) {
    let connections = 0;
    server.on('connection', () => connections++);
    const port = await listen(server);
    const client = new LockClient({
      servers: [`127.0.0.1:${port}`],
      shutdownTimeoutS: 0.1,
      remote: { reconnect: { minDelayMs: 10, maxDelayMs: 1000 }, connectTimeoutMs: 400, ...remote },
    });
    closers.push(() => client.close());
    const events: LockEvent[] = [];
    const lines: string[] = [];
    const log = eventLogger((_, message) => lines.push(message));
    client.events$.subscribe((event) => events.push(event));
    client.notices$.subscribe(log);
    await client.start();
    return { client, events, lines, connections: () => connections };
  }

  it.each<[string, () => Server]>([
    ['closes at once', () => createServer((socket) => socket.end())],
    ['closes when it is spoken to', () => createServer((socket) => socket.once('data', () => socket.end()))],
    ['resets', () => createServer((socket) => socket.resetAndDestroy())],
    ['speaks HTTP', () => createHttp(() => undefined)],
  ])('%s: attempts become rare, and nothing is said to be connected or lost', async (_, make) => {
    const { client, events, lines, connections } = await watch(make());
    const stop = client.acquire('k', { acquireTimeoutS: 2 }).catch((e: unknown) => e);
    const listening = client.signals.signal$('a').subscribe({ error: () => undefined });
    expect(await stop).toBeInstanceOf(LockUnavailableError);
    listening.unsubscribe();
    // Three connections, each with pauses whose bounds double from 10 ms to a second.
    expect(connections()).toBeLessThan(60);
    expect(events.filter(({ type }) => type !== 'timeout')).toEqual([]);
    expect(lines).toEqual([]);
  });

  it.each<[string, (client: LockClient) => Promise<unknown>]>([
    ['tryAcquire', (client) => client.tryAcquire('k')],
    ['acquire without waiting', (client) => client.acquire('k', { acquireTimeoutS: 0 })],
    ['ping', (client) => client.ping()],
    ['stats', (client) => client.stats()],
  ])('lets %s, which starts the client, fail with the first attempt instead of a second one', async (_, call) => {
    const port = await listen(createServer(() => undefined));
    const client = new LockClient({
      servers: [`127.0.0.1:${port}`],
      startup: 'lazy',
      shutdownTimeoutS: 0.1,
      // What waited for another attempt would be told that it was not connected in time.
      remote: { connectTimeoutMs: 100, reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 } },
    });
    closers.push(() => client.close());
    const message = expect.stringContaining('no answer to "ping" within 100 ms') as unknown;
    await expect(inTime(call(client), 'the call')).rejects.toMatchObject({ code: 'UNAVAILABLE', message });
  });

  it('takes the place of one that was: one line says that the connection is lost, and attempts become rare', async () => {
    const port = await freePort();
    const real = new DflockdServer({ port, shutdownTimeout: 0.01 });
    await real.listen();
    const client = new LockClient({
      servers: [`127.0.0.1:${port}`],
      shutdownTimeoutS: 0.1,
      remote: { reconnect: { minDelayMs: 10, maxDelayMs: 1000 } },
    });
    closers.push(() => client.close());
    const lines: string[] = [];
    client.notices$.subscribe(eventLogger((_, message) => lines.push(message)));
    await client.start();
    const other = await LockClient.connect({ servers: [`127.0.0.1:${port}`] });
    const held = await other.acquire('k');
    const waiting = Array.from({ length: 20 }, (_, i) =>
      client.acquire(i < 10 ? 'k' : `k${i}`, { acquireTimeoutS: 2 }).catch(() => undefined),
    );
    await until(async () => (await other.stats())[0]!.locks.some(({ waiters }) => waiters === 2), 'the places');
    void held;
    await other.close();
    await real.close();
    let connections = 0;
    const none = createServer((socket) => {
      connections++;
      socket.end();
    });
    await listen(none, port);
    await Promise.all(waiting);
    expect(connections).toBeLessThan(60);
    expect(lines.filter((line) => line.startsWith('connected'))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith('connection to'))).toHaveLength(1);
  });
});
