import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { Proxy } from './proxy.js';
import { until } from './until.js';
import { Wire } from './wire.js';

let echo: Server;
/** Connections that the echo server has seen end. */
let ended: () => number;
let proxy: Proxy;
let wire: Wire;

beforeEach(async () => {
  let count = 0;
  ended = () => count;
  echo = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('close', () => count++);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  proxy = await Proxy.to((echo.address() as AddressInfo).port);
  const [host, port] = proxy.address.split(':') as [string, string];
  wire = await Wire.tcp({ host, port: Number(port) });
});

afterEach(async () => {
  wire.destroy();
  await proxy.close();
  await new Promise((resolve) => echo.close(resolve));
});

describe('Proxy', () => {
  it('passes bytes and ends', async () => {
    expect(await wire.ask('hello\n')).toBe('hello');
    wire.end();
    await wire.whenClosed();
    await until(() => ended() === 1 && proxy.links.size === 0, 'both ends');
  });

  it('passes a reset', async () => {
    await wire.ask('hello\n');
    wire.reset();
    await until(() => ended() === 1, 'the end');
  });

  it('resets both sides', async () => {
    await wire.ask('hello\n');
    proxy.reset();
    await wire.whenClosed();
    await until(() => ended() === 1, 'the end');
  });

  it.each(['up', 'down'] as const)('swallows what goes %s, and its end', async (direction) => {
    await wire.ask('hello\n');
    proxy.blackHole([direction]);
    wire.send('lost\n');
    wire.end();
    await wire.wait(() => wire.closed || wire.unread !== '', 50);
    expect(wire.closed).toBe(false);
    expect(wire.unread).toBe('');
    expect(ended()).toBe(direction === 'up' ? 0 : 1);
  });

  it('holds bytes, and lets them go in their order', async () => {
    proxy.hold(['down']);
    wire.send('1\n');
    wire.send('2\n');
    await wire.wait(() => wire.unread !== '', 30);
    expect(wire.unread).toBe('');
    proxy.pass();
    wire.send('3\n');
    expect(await wire.read(3)).toBe('1\n2\n3\n');
  });

  it('delays', async () => {
    proxy.delay(40, ['up']);
    const sent = performance.now();
    await wire.ask('late\n');
    expect(performance.now() - sent).toBeGreaterThanOrEqual(39);
  });
});
