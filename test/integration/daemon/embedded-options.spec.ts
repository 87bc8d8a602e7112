import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { EmbeddedBackend } from '../../../lib/backends/embedded/embedded.js';
import type { EmbeddedOptions } from '../../../lib/backends/embedded/options.js';
import { AuthError, ConfigError } from '../../../lib/common/errors.js';
import { resolveServerOptions } from '../../../lib/daemon/shared/options.js';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import type { RemoteOptions } from '../../../lib/locks/options/options.js';
import { resolveEmbedded } from '../../../lib/backends/embedded/options.js';
import { type Certificate, selfSigned } from '../../support/certificates.js';
import { until } from '../../support/until.js';

describe('what an engine in the process refuses is what a daemon refuses', () => {
  const message = (resolve: () => unknown): string => {
    try {
      resolve();
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as ConfigError).message;
    }
    return 'taken';
  };

  it.each<Partial<EmbeddedOptions>>([
    { maxLocks: 0 },
    { leaseSweepInterval: 0 },
    { gcInterval: 9_223_372_037 },
    { httpPort: 70_000 },
    { httpPort: 7000 },
    { httpHost: 'a b' },
    { httpHost: 7 as unknown as string },
    { httpSessionIdleTimeout: 15 },
    { httpSsePingInterval: 20 },
    { httpCorsAllowedOrigins: ['a\r\nb'] },
    { httpCorsAllowedOrigins: 'a' as unknown as string[] },
    { fenceStateFile: ' ' },
    { fenceStateFile: 'a\0b' },
    { tlsCert: ' ' },
    { authToken: ' ' },
    { autoReleaseOnDisconnect: 1 as unknown as boolean },
    { lockdPort: -1 },
    { lockdHost: 'a b' },
    { lockdDump: 'no' as unknown as boolean },
  ])('and is said in the same words: %j', (options) => {
    const daemon = message(() => resolveServerOptions({ port: 7000, ...options }));
    expect(daemon).toMatch(/^daemon option .+: expected /);
    const embedded = message(() => resolveEmbedded({ listen: '127.0.0.1:7000', ...options }));
    expect(embedded).toBe(
      daemon
        .replaceAll('daemon option port', 'option embedded.listen')
        .replaceAll('daemon option ', 'option embedded.'),
    );
  });

  it.each(['fenceStateFile', 'tlsCert', 'tlsKey', 'authToken', 'authTokenFile'])(
    'but an empty %s, which for a flag means none',
    (name) => {
      expect(message(() => resolveServerOptions({ [name]: '' }))).toBe('taken');
      expect(message(() => resolveEmbedded({ listen: '127.0.0.1:0', [name]: '' }))).toMatch(
        `option embedded.${name}: expected `,
      );
    },
  );
});

/** Options that an engine in the process has for those who connect to it. */
describe('the options of connections, of an engine in the process', () => {
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  const serve = async (options: EmbeddedOptions) => {
    const backend = new EmbeddedBackend(
      resolveEmbedded({ listen: '127.0.0.1:0', ...options }),
      systemClock,
      systemEntropy,
    );
    const told: string[] = [];
    backend.onLink(({ detail }) => told.push(detail!));
    ends.push(() => backend.close(0));
    await backend.start();
    return { backend, told, port: backend.address!.port };
  };

  const client = async (port: number, remote: RemoteOptions = {}): Promise<LockClient> => {
    const made = await LockClient.connect({ servers: [`127.0.0.1:${port}`], remote, startup: 'require' });
    ends.push(() => made.close());
    return made;
  };

  const open = async (port: number) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    ends.push(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };

  describe('with files', () => {
    let certificate: Certificate;
    let folder: string;
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    beforeAll(async () => {
      certificate = await selfSigned();
    });

    it('TLS and a token from files are what clients need, though the files are gone meanwhile', async () => {
      folder = mkdtempSync(join(tmpdir(), 'embedded-'));
      const options = resolveEmbedded({
        listen: '127.0.0.1:0',
        tlsCert: file('cert.pem', certificate.cert),
        tlsKey: file('key.pem', certificate.key),
        authTokenFile: file('token', 'secret\n'),
      });
      rmSync(folder, { recursive: true });
      const backend = new EmbeddedBackend(options, systemClock, systemEntropy);
      ends.push(() => backend.close(0));
      await backend.start();
      const tls = { ca: certificate.cert };
      const { port } = backend.address!;
      await (await (await client(port, { tls, auth: 'secret' })).acquire('k')).release();
      await expect(client(port, { tls, auth: 'wrong' })).rejects.toBeInstanceOf(AuthError);
      await expect(client(port, { auth: 'secret', connectTimeoutMs: 500 })).rejects.toThrow();
    });
  });

  it('a certificate that is none fails the start', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'embedded-'));
    ends.push(() => rmSync(folder, { recursive: true }));
    const tlsCert = join(folder, 'cert.pem');
    writeFileSync(tlsCert, 'no certificate');
    const started = serve({ tlsCert, tlsKey: tlsCert });
    await expect(started).rejects.toBeInstanceOf(ConfigError);
    await expect(started).rejects.toThrow(/tlsCert/);
  });

  it('maxConnections refuses one too many, and the application is told', async () => {
    const { port, told } = await serve({ maxConnections: 1 });
    await open(port);
    const second = await open(port);
    await once(second, 'close');
    await until(() => told.length > 0);
    expect(told[0]).toMatch(/^connection refused: too many connections: peer 127\.0\.0\.1, connections 1/);
  });

  it('a wrong token is told', async () => {
    const { port, told } = await serve({ authToken: 'secret' });
    await expect(client(port, { auth: 'wrong' })).rejects.toBeInstanceOf(AuthError);
    expect(told[0]).toMatch(/^authentication failed: peer 127\.0\.0\.1/);
    expect(told.join()).not.toContain('wrong');
  });

  it('readTimeout closes a connection that is silent', async () => {
    const { port } = await serve({ readTimeout: 0.2 });
    await once(await open(port), 'close');
  });

  it('autoReleaseOnDisconnect: false keeps the locks of a connection that has ended', async () => {
    const { port, backend } = await serve({ autoReleaseOnDisconnect: false });
    const socket = await open(port);
    socket.write('l\nk\n10 60\n');
    await until(() => backend.isLocked('k', 'lock'));
    socket.end();
    await once(socket, 'close');
    expect(await backend.isLocked('k', 'lock')).toBe(true);
  });
});
