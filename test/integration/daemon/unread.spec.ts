import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DflockdServerOptions } from '../../../lib/daemon/shared/options.js';
import { type Certificate, selfSigned } from '../../support/certificates.js';
import { freePort } from '../../support/free-port.mjs';
import { keptByTheKernel } from '../../support/unsent.js';
import { until } from '../../support/until.js';
import { Wire } from '../../support/wire.js';
import { acquire, type Daemon, GRANT, PING, STATS, useDaemons } from './harness.js';

const PAYLOAD = 'x'.repeat(60_000);
const SIGNAL = `sig a.b ${PAYLOAD}\n`;

/** If the kernel kept what they have not read, as many as are cut off could use up the memory of the machine. */
describe('a peer that is cut off because it does not read leaves nothing to the kernel', () => {
  const start = useDaemons();
  let folder: string;
  let certificate: Certificate;
  let tls: DflockdServerOptions;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
    certificate = await selfSigned();
    tls = { tlsCert: join(folder, 'cert.pem'), tlsKey: join(folder, 'key.pem') };
    await writeFile(tls.tlsCert!, certificate.cert);
    await writeFile(tls.tlsKey!, certificate.key);
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function secure(daemon: Daemon, port = daemon.address.port): Promise<Wire> {
    const socket = connect({ host: daemon.address.host, port, ca: certificate.cert });
    await once(socket, 'secureConnect');
    return daemon.own(new Wire(socket, () => socket.destroy()));
  }

  /** Has far more written to a peer than it reads. */
  async function stuff(daemon: Daemon, deaf: Wire): Promise<void> {
    const other = await daemon.open();
    other.send(Array.from({ length: 200 }, (_, i) => acquire(`some-${i}-${'x'.repeat(200)}`)).join(''));
    await other.read(200);
    expect(await deaf.ask(acquire('k'))).toMatch(GRANT);
    deaf.stream.pause();
    deaf.send(STATS.repeat(300));
  }

  it.each(['TCP', 'TLS'])('as a listener, over %s; one that reads is left alone', async (protocol) => {
    const daemon = await start({ writeTimeout: 0, ...(protocol === 'TLS' ? tls : {}) });
    const open = (): Promise<Wire> => (protocol === 'TLS' ? secure(daemon) : daemon.open());
    const [deaf, reader, publisher] = [await open(), await open(), await open()];
    for (const wire of [deaf, reader]) expect(await wire.ask('listen\na.b\n\n')).toBe('ok');
    expect(await deaf.ask(acquire('k'))).toMatch(GRANT);
    deaf.stream.pause();
    let sent = 0;
    for (let reply = 'ok 2'; reply === 'ok 2'; sent++) reply = await publisher.ask(`signal\na.b\n${PAYLOAD}\n`);
    expect(await publisher.ask(acquire('k', 5))).toMatch(GRANT);
    await until(() => daemon.server.connections === 2);
    expect(keptByTheKernel(daemon.address.port)).toBe(0);
    deaf.forget();
    deaf.stream.resume();
    await deaf.whenClosed();
    // What had arrived.
    expect(deaf.received.startsWith(SIGNAL.slice(0, deaf.received.length))).toBe(true);
    expect(deaf.received.length).toBeGreaterThan(protocol === 'TLS' ? 0 : SIGNAL.length);
    expect(deaf.received.length).toBeLessThan(sent * SIGNAL.length);
    expect((await reader.read(sent)).length).toBe(sent * SIGNAL.length);
    expect(await reader.ask(PING)).toBe('ok');
  });

  it('after the write timeout; its locks are passed on', async () => {
    const daemon = await start({ writeTimeout: 0.3 });
    const [deaf, waiter] = [await daemon.open(), await daemon.open()];
    await stuff(daemon, deaf);
    expect(await waiter.ask(acquire('k', 10), 10_000)).toMatch(GRANT);
    await until(() => daemon.server.connections === 2);
    expect(keptByTheKernel(daemon.address.port)).toBe(0);
    deaf.stream.resume();
    await deaf.whenClosed();
  });

  it('as a reader of a stream over HTTPS, when the daemon shuts down', async () => {
    const daemon = await start({ httpPort: await freePort(), ...tls });
    const { port } = daemon.server.httpAddress()!;
    const [deaf, publisher] = [await secure(daemon, port), await secure(daemon)];
    deaf.send('GET /v1/signals?pattern=a.b HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => deaf.received.includes(':ok'));
    deaf.stream.pause();
    publisher.send(`signal\na.b\n${PAYLOAD}\n`.repeat(120));
    expect(await publisher.read(120, 10_000)).toBe('ok 1\n'.repeat(120));
    publisher.end();
    await daemon.server.close();
    expect(keptByTheKernel(port)).toBe(0);
    deaf.stream.resume();
    await deaf.whenClosed();
  });

  it('when a shutdown no longer waits for it; one to whom nothing is owed gets an end', async () => {
    const daemon = await start({ writeTimeout: 0, shutdownTimeout: 0.2 });
    // The daemon's ends of the connections.
    const served: Socket[] = [];
    const door = createServer({ allowHalfOpen: true }, (socket) => {
      served.push(socket);
      daemon.server.handle(socket, 'peer');
    }).listen(0, '127.0.0.1');
    await once(door, 'listening');
    const { port } = door.address() as AddressInfo;
    const open = async (): Promise<Wire> => daemon.own(await Wire.tcp({ host: '127.0.0.1', port }));
    const [deaf, silent] = [await open(), await open()];
    const failed: Error[] = [];
    silent.stream.on('error', (error) => failed.push(error));
    expect(await silent.ask(PING)).toBe('ok');
    await stuff(daemon, deaf);
    await until(() => served.some(({ writableLength }) => writableLength > 0));
    await daemon.server.close();
    expect(keptByTheKernel(port)).toBe(0);
    deaf.stream.resume();
    await Promise.all([deaf.whenClosed(), silent.whenClosed()]);
    expect([failed, silent.received]).toEqual([[], 'ok\n']);
    door.close();
  });
});
