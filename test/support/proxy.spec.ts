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

  it('tells that the server has ended a connection, where the client is about to see it', async () => {
    await wire.ask('hello\n');
    let told = 0;
    proxy.onServerEnd = () => told++;
    proxy.blackHole(['down']);
    wire.end();
    await until(() => ended() === 1, 'the end of the server');
    await wire.wait(() => wire.closed, 50);
    expect(told).toBe(0);
    proxy.pass();
    const next = await Wire.tcp({ host: '127.0.0.1', port: Number(proxy.address.split(':')[1]) });
    await next.ask('hello\n');
    next.end();
    await next.whenClosed();
    expect(told).toBe(1);
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

  it('delays at random, and keeps the order', async () => {
    proxy.shape({ jitterMs: 20 });
    for (let i = 0; i < 10; i++) {
      wire.send(`${i}\n`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect((await wire.read(10)).replaceAll('\n', '')).toBe('0123456789');
  });

  it('throttles', async () => {
    proxy.shape({ bytesPerSecond: 1000 }, ['up']);
    const sent = performance.now();
    await wire.ask(`${'x'.repeat(99)}\n`);
    expect(performance.now() - sent).toBeGreaterThanOrEqual(95);
  });

  it('lets go at once what would have been due later', async () => {
    proxy.shape({ bytesPerSecond: 10 }, ['up']);
    wire.send(`${'x'.repeat(99)}\n`);
    await wire.wait(() => wire.unread !== '', 20);
    expect(wire.unread).toBe('');
    proxy.pass();
    expect(await wire.ask('y\n')).toBe('x'.repeat(99));
  });

  it('does not go on splitting what it kept when it passes again', async () => {
    proxy.shape({ pieceBytes: 1 }, ['up']);
    wire.send(`${'x'.repeat(9_999)}\n`);
    await wire.wait(() => wire.unread !== '', 5);
    expect(wire.unread).toBe('');
    const passed = performance.now();
    proxy.pass();
    expect(await wire.ask('y\n')).toBe('x'.repeat(9_999));
    // A piece takes a millisecond.
    expect(performance.now() - passed).toBeLessThan(5_000);
  });

  it('splits what travels in one write', async () => {
    const pieces: number[] = [];
    await wire.ask('hello\n');
    echo.once('connection', (socket) => socket.on('data', (chunk: Buffer) => pieces.push(chunk.length)));
    const [host, port] = proxy.address.split(':') as [string, string];
    const other = await Wire.tcp({ host, port: Number(port) });
    proxy.shape({ pieceBytes: 2 }, ['up']);
    expect(await other.ask('12345\n')).toBe('12345');
    expect(pieces.length).toBeGreaterThan(1);
    other.destroy();
  });

  it.each(['up', 'down'] as const)('resets a connection behind some bytes that go %s', async (direction) => {
    proxy.cutAfter(3, 'reset', direction);
    wire.send('12345\n');
    await wire.whenClosed();
    await until(() => ended() === 1, 'the end');
  });

  it('truncates by a FIN, and in one connection only', async () => {
    proxy.cutAfter(3, 'end', 'down');
    wire.send('12345\n');
    await wire.whenClosed();
    expect(wire.received).toBe('123');
    const [host, port] = proxy.address.split(':') as [string, string];
    const other = await Wire.tcp({ host, port: Number(port) });
    expect(await other.ask('12345\n')).toBe('12345');
    other.destroy();
  });

  it('truncates without a word, and resets what lacks bytes when it passes again', async () => {
    proxy.cutAfter(3, 'hole', 'down');
    wire.send('12345\n');
    await until(() => wire.received === '123', 'the first bytes');
    wire.send('6\n');
    await wire.wait(() => wire.closed || wire.received !== '123', 30);
    expect([wire.received, wire.closed]).toEqual(['123', false]);
    proxy.pass();
    await wire.whenClosed();
  });

  it('half-closes towards the server', async () => {
    await wire.ask('hello\n');
    proxy.halfClose('up');
    // The echo server ends in turn.
    await wire.whenClosed();
    expect(ended()).toBe(1);
  });

  it('ends a connection for the server only', async () => {
    await wire.ask('hello\n');
    proxy.blackHole();
    proxy.resetServers();
    await until(() => ended() === 1, 'the end');
    expect(wire.closed).toBe(false);
    proxy.pass();
    await wire.whenClosed();
  });

  it.each(['refuse', 'close'] as const)('can %s new connections, and take them again', async (door) => {
    await proxy.setDoor(door);
    const [host, port] = proxy.address.split(':') as [string, string];
    const refused = await Wire.tcp({ host, port: Number(port) }).then(
      (other) => other.whenClosed().then(() => 'closed'),
      () => 'refused',
    );
    expect(refused).toBe(door === 'refuse' ? 'refused' : 'closed');
    // What is there goes on.
    expect(await wire.ask('hello\n')).toBe('hello');
    await proxy.setDoor('open');
    const other = await Wire.tcp({ host, port: Number(port) });
    expect(await other.ask('hello\n')).toBe('hello');
    other.destroy();
  });

  it('says when it ends a connection, and what passes', async () => {
    let cuts = 0;
    const seen: string[] = [];
    proxy.onCut = () => cuts++;
    proxy.onData = (direction, chunk) => seen.push(`${direction} ${String(chunk)}`);
    await wire.ask('hello\n');
    expect(seen).toEqual(['up hello\n', 'down hello\n']);
    proxy.reset();
    expect(cuts).toBe(1);
  });
});
