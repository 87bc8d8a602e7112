import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { selfSigned, type Certificate } from '../../support/certificates.js';
import { until } from '../../support/until.js';
import { Wire } from '../../support/wire.js';
import { GRANT, PING, acquire, statsOf, useDaemons, type Daemon } from './harness.js';

describe('TLS (spec 7)', () => {
  const start = useDaemons();
  let folder: string;
  let certificate: Certificate;
  let files: { tlsCert: string; tlsKey: string };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
    certificate = await selfSigned();
    files = { tlsCert: join(folder, 'cert.pem'), tlsKey: join(folder, 'key.pem') };
    await writeFile(files.tlsCert, certificate.cert);
    await writeFile(files.tlsKey, certificate.key);
  });

  afterAll(() => rm(folder, { recursive: true }));

  async function secure(daemon: Daemon, options: ConnectionOptions = {}): Promise<Wire> {
    const socket = connect({ ...daemon.address, ca: certificate.cert, ...options });
    const wire = daemon.own(new Wire(socket, () => socket.destroy()));
    const refused = once(socket, 'close').then(() => Promise.reject(new Error('closed in the handshake')));
    await Promise.race([once(socket, 'secureConnect'), refused]);
    return wire;
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('serves %s', async (version) => {
    const daemon = await start(files);
    const wire = await secure(daemon, { minVersion: version, maxVersion: version });
    expect((wire.stream as TLSSocket).getProtocol()).toBe(version);
    wire.send(PING + acquire('k') + '\n\n\n');
    expect((await wire.read(3)).split('\n')).toEqual(['ok', expect.stringMatching(GRANT), 'error', '']);
  });

  it('refuses TLS 1.1', async () => {
    const daemon = await start(files);
    const old: ConnectionOptions = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
    await expect(secure(daemon, old)).rejects.toMatchObject({ code: expect.stringContaining('SSL') });
    expect(await (await secure(daemon)).ask(PING)).toBe('ok');
  });

  it('closes a client that does not speak TLS, without a line', async () => {
    const daemon = await start(files);
    const plain = await daemon.open();
    plain.send(PING.repeat(10));
    await plain.whenClosed();
    expect(plain.received).not.toContain('ok');
    expect(plain.received).not.toContain('error');
    expect(await (await secure(daemon)).ask(PING)).toBe('ok');
  });

  it('closes a client that never begins the handshake', async () => {
    const daemon = await start({ ...files, readTimeout: 0.3 });
    const opened = performance.now();
    const mute = await daemon.open();
    expect((await mute.whenClosed()) - opened).toBeGreaterThan(250);
    expect(mute.received).toBe('');
  });

  it('frees what a connection held and its place among the connections', async () => {
    const daemon = await start({ ...files, maxConnections: 2 });
    for (const leave of ['end', 'destroy'] as const) {
      const holder = await secure(daemon);
      const waiter = await secure(daemon);
      expect(await holder.ask(acquire('k'))).toMatch(GRANT);
      waiter.send(acquire('k', 10));
      await until(() => true);
      holder[leave]();
      expect((await waiter.read()).trim()).toMatch(GRANT);
      await until(async () => (await statsOf(waiter))['connections'] === 1, `the end of the holder by ${leave}`);
      waiter.destroy();
      await until(async () => {
        const wire = await secure(daemon).catch(() => undefined);
        const only = wire && (await statsOf(wire).catch(() => undefined))?.['connections'] === 1;
        wire?.destroy();
        return only;
      }, 'the end of the waiter');
    }
  }, 20_000);

  it.each(['end', 'destroy', 'reset'] as const)(
    'counts connections in the handshake, until they leave it by %s',
    async (leave) => {
      const daemon = await start({ ...files, maxConnections: 1 });
      const mute = await daemon.open();
      await expect(secure(daemon)).rejects.toBeDefined();
      mute[leave]();
      await until(async () => {
        const wire = await secure(daemon).catch(() => undefined);
        return wire && (await wire.ask(PING)) === 'ok';
      }, 'the place of the other');
    },
    10_000,
  );

  it('carries long pipelines', async () => {
    const daemon = await start(files);
    const wire = await secure(daemon);
    wire.send(PING.repeat(50_000));
    expect(await wire.read(50_000, 20_000)).toBe('ok\n'.repeat(50_000));
  }, 30_000);

  it('does not take a listener that reads for one that does not', async () => {
    const daemon = await start(files);
    const [listener, publisher] = [await secure(daemon), await secure(daemon)];
    expect(await listener.ask('listen\na\n\n')).toBe('ok');
    publisher.send('signal\na\nx\n'.repeat(500));
    const counts = (await publisher.read(500)).split('\n');
    expect(counts.filter((line) => line === 'ok 1')).toHaveLength(500);
    expect(await listener.read(500)).toBe('sig a x\n'.repeat(500));
  });

  it('cuts connections off when the shutdown takes too long, in the handshake too', async () => {
    const daemon = await start({ ...files, shutdownTimeout: 0.2 });
    const [mute, wire] = [await daemon.open(), await secure(daemon)];
    expect(await wire.ask(PING)).toBe('ok');
    await daemon.server.close();
    await Promise.all([mute.whenClosed(), wire.whenClosed()]);
  });

  it.each([
    ['a missing file', () => ({ tlsCert: join(folder, 'none.pem'), tlsKey: files.tlsKey }), /tlsCert.*none\.pem/],
    ['only one of the two', () => ({ tlsKey: files.tlsKey }), /tlsCert/],
    ['files that are swapped', () => ({ tlsCert: files.tlsKey, tlsKey: files.tlsCert }), /tlsCert|tlsKey/],
  ])('refuses %s as a ConfigError', async (_, options, message) => {
    await expect(start(options())).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringMatching(message) });
  });
});
