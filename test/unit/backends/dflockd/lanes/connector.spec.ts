import { afterEach, describe, expect, it } from '@jest/globals';
import type { Socket } from 'node:net';
import { createServer as createTls, type Server as TlsServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { Connector, type ConnectResult, type Target } from '../../../../../lib/backends/dflockd/lanes/connector.js';
import { Alarms } from '../../../../../lib/common/alarms.js';
import { AuthError, ConfigError, type LockError, LockUnavailableError } from '../../../../../lib/common/errors.js';
import { systemClock } from '../../../../../lib/common/system.js';
import { selfSigned } from '../../../../support/certificates.js';
import { inTime } from '../../../../support/until.js';
import { FakeServer } from '../support/fake-server.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(script?: Parameters<typeof FakeServer.start>[0]): Promise<FakeServer> {
  const server = await FakeServer.start(script);
  closers.push(() => server.close());
  return server;
}

function attempt(target: Partial<Target> & Pick<Target, 'endpoint'>, proves = false): Promise<Socket> {
  const alarms = new Alarms(systemClock);
  return inTime(
    new Promise<Socket>((resolve, reject) => {
      const whole = { tls: undefined, auth: undefined, connectTimeoutMs: 1000, ...target };
      const result: ConnectResult = {
        connected: ({ socket }) => {
          closers.push(() => socket.destroy());
          expect(alarms.size).toBe(0);
          expect(socket.listenerCount('error')).toBe(0);
          socket.on('error', () => undefined);
          resolve(socket);
        },
        failed: (error: LockError) => {
          expect(alarms.size).toBe(0);
          reject(error);
        },
      };
      new Connector(whole, systemClock, alarms, result, proves);
    }),
    'the attempt',
  );
}

describe('a connector', () => {
  it('connects', async () => {
    const { endpoint } = await serve();
    expect((await attempt({ endpoint })).destroyed).toBe(false);
  });

  it('authenticates before anything else', async () => {
    const server = await serve(() => 'ok\n');
    await attempt({ endpoint: server.endpoint, auth: 'geheim ü' });
    expect(server.peers[0]!.requests).toEqual([{ t: 'auth', token: Buffer.from('geheim ü').toString('latin1') }]);
  });

  it.each<[string, string | undefined, new (...args: any[]) => LockError, RegExp]>([
    ['error_auth', 'error_auth\n', AuthError, /authentication failed/],
    ['error, from a server without token', 'error\n', ConfigError, /option remote.auth/],
    ['nonsense', 'hello\n', LockUnavailableError, /something other than dflockd answered: "hello"/],
    ['more than one line', 'ok\nok\n', LockUnavailableError, /more than one answer/],
    ['a line without end', 'x'.repeat(300), LockUnavailableError, /something other than dflockd answered: "x{80}"/],
    ['silence', undefined, LockUnavailableError, /connected, but got no answer to "auth" within 100 ms/],
  ])('auth answered by %s', async (_, answer, type, text) => {
    const { endpoint } = await serve(() => answer);
    const outcome = attempt({ endpoint, auth: 'token', connectTimeoutMs: answer === undefined ? 100 : 1000 });
    await expect(outcome).rejects.toThrow(text);
    await expect(outcome).rejects.toBeInstanceOf(type);
  });

  it('says where it failed when nobody listens', async () => {
    const server = await FakeServer.start();
    const { endpoint } = server;
    await server.close();
    await expect(attempt({ endpoint })).rejects.toThrow(new RegExp(`cannot reach ${endpoint.label}: .*ECONNREFUSED`));
  });

  it('says that the server closed without a word', async () => {
    const server = await serve();
    server.script = (_, peer) => {
      peer.socket.end();
      return undefined;
    };
    await expect(attempt({ endpoint: server.endpoint, auth: 'token' })).rejects.toThrow('without an answer');
  });

  it('calls nothing after an abort', async () => {
    const { endpoint } = await serve();
    const alarms = new Alarms(systemClock);
    const told: string[] = [];
    const target = { endpoint, tls: undefined, auth: undefined, connectTimeoutMs: 1000 };
    const connector = new Connector(target, systemClock, alarms, {
      connected: () => told.push('connected'),
      failed: () => told.push('failed'),
    });
    connector.abort();
    connector.abort();
    await attempt({ endpoint });
    expect(told).toEqual([]);
    expect(alarms.size).toBe(0);
  });
});

describe('a connector that proves its server', () => {
  const proven = (target: Parameters<typeof attempt>[0]) => attempt(target, true);

  it.each(['ok\n', 'ok\r\n', 'error\n'])('takes %j, by whichever version, for a success', async (answer) => {
    const server = await serve((r) => (r.t === 'auth' ? 'ok\n' : answer));
    server.proves = false;
    for (const auth of [undefined, 'token']) await proven({ endpoint: server.endpoint, auth });
    expect(server.peers.map(({ requests }) => requests.map(({ t }) => t))).toEqual([['ping'], ['auth', 'ping']]);
  });

  it.each<[string | undefined, string, RegExp]>([
    [undefined, 'UNAVAILABLE', /connected, but got no answer to "ping" within 100 ms/],
    ['error_auth\n', 'AUTH', /requires a token/],
    ['error_draining\n', 'DRAINING', /shutting down/],
    ['ok\nok\n', 'UNAVAILABLE', /more than one answer to ping/],
    ['ok 1\n', 'UNAVAILABLE', /something other than dflockd answered: "ok 1"/],
    ['error: what?\n', 'UNAVAILABLE', /something other than dflockd answered: "error: what\?"/],
    ['+PONG\r\n', 'UNAVAILABLE', /a Redis server/],
    ['+PON', 'UNAVAILABLE', /something other than dflockd answered: "\+PON"/],
  ])('counts nothing but an answer of dflockd as a success: %j', async (answer, code, text) => {
    const server = await serve(() => answer);
    server.proves = false;
    const connectTimeoutMs = answer?.endsWith('\n') ? 1000 : 100;
    const outcome = proven({ endpoint: server.endpoint, connectTimeoutMs });
    await expect(outcome).rejects.toMatchObject({ code, message: expect.stringMatching(text) });
  });

  it('quotes what came before the server closed or reset the connection', async () => {
    for (const end of ['end', 'resetAndDestroy'] as const) {
      const server = await serve((_, peer) => {
        peer.socket.write('bana', () => peer.socket[end]());
        return undefined;
      });
      server.proves = false;
      await expect(proven({ endpoint: server.endpoint })).rejects.toThrow(/"bana"|without an answer/);
    }
  });
});

describe('TLS', () => {
  const listen = async (server: TlsServer) => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as AddressInfo;
    return { host: '127.0.0.1', port, label: `127.0.0.1:${port}` };
  };

  it('connects to a server whose certificate is trusted', async () => {
    const { key, cert } = await selfSigned();
    const endpoint = await listen(createTls({ key, cert }, (socket) => socket.on('error', () => undefined).resume()));
    await attempt({ endpoint, tls: { ca: cert } });
  });

  it('refuses another one for good', async () => {
    const { key, cert } = await selfSigned();
    const endpoint = await listen(createTls({ key, cert }));
    await expect(attempt({ endpoint, tls: {} })).rejects.toThrow(/option remote.tls: 127.0.0.1:\d+: /);
    await expect(attempt({ endpoint, tls: {} })).rejects.toBeInstanceOf(ConfigError);
  });

  it('names options that Node does not take', () => {
    const target = {
      endpoint: { host: 'x', port: 1, label: 'x:1' },
      tls: { ca: 'no pem', minVersion: 'no' as any },
      auth: undefined,
      connectTimeoutMs: 1000,
    };
    const make = () =>
      new Connector(target, systemClock, new Alarms(systemClock), {
        connected: () => undefined,
        failed: () => undefined,
      });
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(/option remote.tls/);
  });
});
