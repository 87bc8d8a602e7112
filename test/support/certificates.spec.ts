import { connect, createServer } from 'node:tls';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, it } from '@jest/globals';
import { selfSigned } from './certificates.js';

it('makes a certificate that a client accepts for 127.0.0.1', async () => {
  const certificate = await selfSigned();
  const server = createServer(certificate, (socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, ca: certificate.cert });
  const [greeting] = (await once(client, 'data')) as [Buffer];
  expect(greeting.toString()).toBe('hello');
  client.destroy();
  server.close();
  await once(server, 'close');
});
