import { describe, expect, it } from '@jest/globals';
import { DflockdServer } from '../../../lib/daemon/server.js';
import { FakeClock } from '../../support/fake-clock.js';
import { freePort } from '../../support/free-port.mjs';
import { inTime } from '../../support/until.js';
import { Wire } from '../../support/wire.js';
import { GRANT, PING, acquire, statsOf, turns, useDaemons } from './harness.js';

describe('listening', () => {
  const start = useDaemons();

  it('on port 0 takes a free one and says which', async () => {
    const daemon = await start();
    expect(daemon.address).toEqual({ host: '127.0.0.1', port: expect.any(Number) });
    expect(daemon.server.address()).toEqual(daemon.address);
  });

  it('on a port in use says so and names the option that connects to what runs there', async () => {
    const { port } = (await start()).address;
    await expect(start({ port })).rejects.toMatchObject({
      code: 'CONFIG',
      server: `127.0.0.1:${port}`,
      message: expect.stringMatching(new RegExp(`127\\.0\\.0\\.1:${port}.*in use.*servers`)),
    });
  });

  it('on an address of another machine says so', async () => {
    await expect(start({ host: '192.0.2.1' })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('192.0.2.1'),
    });
  });

  it('can be tried again after it failed', async () => {
    const first = await start({ port: await freePort() });
    const server = new DflockdServer({ port: first.address.port });
    await expect(server.listen()).rejects.toThrow('in use');
    await first.stop();
    await server.listen();
    await server.close();
  });

  it('is refused twice, and after the end', async () => {
    const { server } = await start();
    await expect(server.listen()).rejects.toMatchObject({ code: 'CONFIG' });
    await server.close();
    await expect(server.listen()).rejects.toMatchObject({ code: 'CONFIG' });
  });

  it('is not needed to serve streams', async () => {
    const server = new DflockdServer();
    const wire = Wire.pair(server);
    expect(await wire.ask(PING)).toBe('ok');
    wire.destroy();
    await server.close();
  });
});

describe('shutdown (spec 7)', () => {
  const start = useDaemons();

  it('resolves at once when nobody is connected, however often it is called', async () => {
    const { server } = await start();
    await inTime(Promise.all([server.close(), server.close()]), 'close');
    expect(server.address()).toBeUndefined();
  });

  it('closes the port at once and waits for who is connected', async () => {
    const daemon = await start();
    const wire = await daemon.open();
    expect(await wire.ask(PING)).toBe('ok');
    let closed = false;
    const closing = daemon.server.close().then(() => (closed = true));
    await expect(Wire.tcp(daemon.address)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect([closed, wire.closed]).toEqual([false, false]);
    wire.destroy();
    await inTime(closing, 'close');
  });

  it('takes no more streams', async () => {
    const daemon = await start();
    const wire = await daemon.open();
    await wire.ask(PING);
    const closing = daemon.server.close();
    const late = daemon.pair();
    await late.whenClosed();
    expect(late.received).toBe('');
    wire.destroy();
    await closing;
  });

  it('answers who waits with error, and the next request of each with error_draining', async () => {
    const daemon = await start();
    const [holder, waiter, idle] = [await daemon.open(), await daemon.open(), await daemon.open()];
    expect(await holder.ask(acquire('k'))).toMatch(GRANT);
    waiter.send(acquire('k', 30));
    await statsOf(idle);
    await turns();
    const closing = daemon.server.close();
    expect(await waiter.read()).toBe('error\n');
    for (const wire of [holder, waiter, idle]) {
      wire.send(PING + PING);
      await wire.whenClosed();
      expect(wire.unread).toBe('error_draining\n');
    }
    await inTime(closing, 'close');
  });

  it('leaves malformed requests their error', async () => {
    const daemon = await start();
    const wire = await daemon.open();
    await wire.ask(PING);
    const closing = daemon.server.close();
    expect(await wire.ask('\n\n\n')).toBe('error');
    expect(await wire.ask(PING)).toBe('error_draining');
    await closing;
  });

  it('cuts off who stays longer than the shutdown timeout', async () => {
    const clock = new FakeClock();
    const daemon = await start({ shutdownTimeout: 30, readTimeout: 3600 }, { clock });
    const wire = daemon.pair();
    await wire.ask(PING);
    let closed = false;
    const closing = daemon.server.close().then(() => (closed = true));
    await turns();
    clock.advance(29_999);
    await turns();
    expect([closed, wire.closed]).toEqual([false, false]);
    clock.advance(1);
    await inTime(closing, 'close');
    await wire.whenClosed();
  });

  it('waits for ever with a shutdown timeout of 0', async () => {
    const clock = new FakeClock();
    const daemon = await start({ shutdownTimeout: 0, readTimeout: 1e9 }, { clock });
    const wire = daemon.pair();
    await wire.ask(PING);
    let closed = false;
    const closing = daemon.server.close().then(() => (closed = true));
    clock.advance(86_400_000);
    await turns();
    expect([closed, wire.closed]).toEqual([false, false]);
    wire.destroy();
    await inTime(closing, 'close');
  });

  it('frees the port for the next', async () => {
    const first = await start({ port: await freePort() });
    const { port } = first.address;
    for (let i = 0; i < 3; i++) await (await first.open()).ask(PING);
    await first.stop();
    const second = await start({ port });
    expect(await (await second.open()).ask(PING)).toBe('ok');
  });

  it('leaves no timer behind', async () => {
    const clock = new FakeClock();
    const daemon = await start({}, { clock });
    const wire = daemon.pair();
    expect(await wire.ask(acquire('k'))).toMatch(GRANT);
    wire.destroy();
    await daemon.server.close();
    expect(clock.pendingTimers).toBe(0);
  });
});
