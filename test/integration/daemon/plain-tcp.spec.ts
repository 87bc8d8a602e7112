import { expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { closesCleanly } from '../../../lib/daemon/tcp/plain-tcp.js';
import { DuplexEnd } from '../../support/duplex-pair.js';

it('a plain socket closes cleanly once the kernel has every byte; others have an end of their own', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  const [socket] = (await accepted) as [Socket];
  try {
    expect(closesCleanly(socket)).toBe(true);
    // More than both kernel buffers take from who is not read.
    socket.write(Buffer.alloc(32 * 1024 * 1024));
    expect(closesCleanly(socket)).toBe(false);
    peer.resume();
    await once(socket, 'drain');
    expect(closesCleanly(socket)).toBe(true);
    expect(closesCleanly(new TLSSocket(socket, { isServer: true }))).toBe(false);
    expect(closesCleanly(DuplexEnd.pair()[0])).toBe(false);
  } finally {
    socket.destroy();
    peer.destroy();
    server.close();
  }
});
