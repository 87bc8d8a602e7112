import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Connections } from '../../../../lib/daemon/shared/connections.js';
import { carry, reset } from '../../../../lib/daemon/shared/reset.js';
import { selfSigned } from '../../../support/certificates.js';
import { DuplexEnd } from '../../../support/duplex-pair.js';
import { StuckSocket } from '../../../support/stuck-socket.js';
import { keptByTheKernel } from '../../../support/unsent.js';
import { until } from '../../../support/until.js';

/** More than both kernels' buffers take. */
const MUCH = Buffer.alloc(16 * 1024 * 1024);

const servers: Server[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

/** The two ends of a connection, and how the far one ends. */
async function connected(path?: string) {
  const server = createServer({ allowHalfOpen: true });
  servers.push(server);
  server.listen(path === undefined ? { host: '127.0.0.1', port: 0 } : { path });
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const port = path === undefined ? (server.address() as AddressInfo).port : 0;
  const far = path === undefined ? connect(port, '127.0.0.1') : connect(path);
  const [near] = (await accepted) as [Socket];
  sockets.push(near, far);
  near.on('error', () => undefined);
  return { near, far: watched(far), port };
}

function watched(far: Socket) {
  const seen = { bytes: 0, ended: false, closed: false, error: '' };
  far.pause();
  far.on('data', (chunk: Buffer) => (seen.bytes += chunk.length));
  far.on('end', () => (seen.ended = true));
  far.on('error', ({ code }: NodeJS.ErrnoException) => (seen.error = code!));
  far.on('close', () => (seen.closed = true));
  return { socket: far, seen };
}

describe('the connection of a peer that does not read', () => {
  it('is reset: the kernel keeps nothing for it, and it learns of it when it reads', async () => {
    const { near, far, port } = await connected();
    near.write(MUCH);
    await until(() => near.bytesWritten > 0 && near.writableLength > 0);
    const closed = once(near, 'close');
    reset(near);
    await closed;
    expect(keptByTheKernel(port)).toBe(0);
    far.socket.resume();
    await until(() => far.seen.closed);
    expect(far.seen).toMatchObject({ error: 'ECONNRESET', ended: false });
    expect(far.seen.bytes).toBeLessThan(MUCH.length);
  });

  it('is closed as ever if the kernel has everything: the peer reads it all, and then an end', async () => {
    const { near, far } = await connected();
    near.write('last words');
    expect(near.writableLength).toBe(0);
    reset(near);
    far.socket.resume();
    await until(() => far.seen.closed);
    expect(far.seen).toEqual({ bytes: 10, ended: true, closed: true, error: '' });
  });

  it('is closed although it is being shut down, which Node could not reset', async () => {
    const { near, far } = await connected();
    const closed = once(near, 'close');
    near.end('last words');
    await new Promise((resolve) => process.nextTick(resolve));
    expect([near.writableEnded, near.writableFinished]).toEqual([true, false]);
    reset(near);
    await closed;
    far.socket.resume();
    await until(() => far.seen.closed);
    expect(far.seen).toMatchObject({ bytes: 10, error: '' });
  });

  it('is destroyed if it is a pipe', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
    const { near } = await connected(join(folder, 'pipe'));
    near.write(MUCH);
    const closed = once(near, 'close');
    reset(near);
    await closed;
    expect(near.destroyed).toBe(true);
    await rm(folder, { recursive: true });
  });

  it('is destroyed if it is in memory', async () => {
    const [near, far] = DuplexEnd.pair();
    far.pause();
    near.write(MUCH);
    near.write(MUCH);
    await until(() => near.writableLength > 0);
    reset(near);
    expect(near.destroyed).toBe(true);
    far.destroy();
  });

  it('is reset once only', () => {
    const socket = new StuckSocket();
    socket.isStuck = true;
    socket.write('x');
    reset(socket);
    reset(socket);
    expect([socket.resets, socket.destroyed]).toEqual([1, true]);
  });
});

describe('TLS to a peer that does not read', () => {
  async function secured() {
    const certificate = await selfSigned();
    const tls = createTlsServer(certificate);
    const { near, far, port } = await connected();
    const accepted = once(tls, 'secureConnection');
    const client = connectTls({ socket: far.socket, ca: certificate.cert, checkServerIdentity: () => undefined });
    client.on('error', () => undefined);
    tls.emit('connection', near);
    const [secure] = (await accepted) as [Socket];
    sockets.push(secure, client);
    secure.on('error', () => undefined);
    client.pause();
    for (let i = 0; i < 256; i++) secure.write(MUCH.subarray(0, 64 * 1024));
    await until(() => secure.writableLength > 0);
    return { near, secure, port };
  }

  it.each(['the TLS socket', 'the socket below'])('is reset, whether by %s', async (which) => {
    const { near, secure, port } = await secured();
    carry(secure, near);
    const closed = [once(secure, 'close'), once(near, 'close')];
    reset(which === 'the TLS socket' ? secure : near);
    await Promise.all(closed);
    expect([secure.destroyed, near.destroyed]).toEqual([true, true]);
    expect(keptByTheKernel(port)).toBe(0);
  });

  it('is destroyed together with the socket below, whoever destroys it once more', async () => {
    const { near, secure } = await secured();
    carry(secure, near);
    const connections = new Connections();
    connections.add(near, () => undefined);
    const closed = once(secure, 'close');
    connections.destroyAll();
    // Node would end with a segmentation fault if the socket below were the first.
    secure.destroy();
    await Promise.all([closed, connections.whenEmpty()]);
    expect([secure.destroyed, near.destroyed]).toEqual([true, true]);
  });

  it('is destroyed if nobody has told what carries it', async () => {
    const { near, secure } = await secured();
    const closed = [once(secure, 'close'), once(near, 'close')];
    reset(secure);
    await Promise.all(closed);
    expect([secure.destroyed, near.destroyed]).toEqual([true, true]);
  });
});
