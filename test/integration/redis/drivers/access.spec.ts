import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { ConfigError } from '../../../../lib/common/errors.js';
import { selfSigned, type Certificate } from '../../../support/certificates.js';
import { userOfPage } from '../../../documents/redis-rights.js';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { freePort } from '../../../support/free-port.mjs';
import { RedisServer } from '../../../support/redis/server.js';
import { until } from '../../../support/until.js';
import { closeAll, driverOf, Listener, scriptOf, TRIED, type Library } from './support.js';

const PUBLISH = scriptOf(`return redis.call('PUBLISH', ARGV[1], ARGV[2])`);

describeRedis('drivers: rights and TLS', () => {
  let server: RedisServer;
  let folder: string;
  let tlsPort: number;
  let certificate: Certificate;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tls-'));
    tlsPort = await freePort();
    certificate = await selfSigned();
    await writeFile(join(folder, 'key'), certificate.key);
    await writeFile(join(folder, 'cert'), certificate.cert);
    server = await RedisServer.start({
      users: { least: userOfPage('hunter2', '`watch`') },
      config: [
        `tls-port ${tlsPort}`,
        `tls-cert-file ${join(folder, 'cert')}`,
        `tls-key-file ${join(folder, 'key')}`,
        `tls-ca-cert-file ${join(folder, 'cert')}`,
        'tls-auth-clients no',
      ],
    });
  });
  afterEach(closeAll);
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });

  // By address: after a stall, Node dials the other address of a name over the TLS handshake that is under way.
  const overTls = (library: Library, ca: object): object => {
    const trust = { servername: 'localhost', ...ca };
    return library.client(
      { host: '127.0.0.1', port: tlsPort },
      library.name.startsWith('io') ? { tls: trust } : { socket: { tls: true, ...trust } },
    );
  };

  it.each(TRIED)('$name: the rights of the page are enough, the watch included', async (library) => {
    const driver = driverOf(library.client(server, { username: 'least', password: 'hunter2' }), { watch: true });
    const listener = new Listener();
    await driver.open(listener);
    await driver.subscribe('dfl:a');
    expect(await driver.eval(PUBLISH, ['lock:a'], ['dfl:a', 'hello'])).toBe(1);
    await until(() => listener.count('dfl:a: hello') === 1);
    expect(await driver.watch(['lock:a'])).toBe(0);
    await expect(driver.subscribe('news')).rejects.toThrow(ConfigError);
    driver.kick();
    await until(() => listener.count('up') === 2, 'the channel that is refused not to be asked for again');
    await expect(driver.command('other', ['GET', 'other'])).rejects.toThrow(/denies a right.*docs\/redis\.md/);
  });

  it.each(TRIED)('$name: TLS as the client has it', async (library) => {
    const driver = driverOf(overTls(library, { ca: certificate.cert }));
    await driver.open(new Listener());
    expect(await driver.command(undefined, ['PING'])).toBe('PONG');
    const refused = driverOf(overTls(library, {}));
    const error = await refused.open(new Listener()).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toMatch(/failed in TLS: self-signed certificate/);
  });
});
