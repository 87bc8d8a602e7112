import { describe, expect, it } from '@jest/globals';
import { until } from '../../support/until.js';
import { GRANT, PING, acquire, statsOf, useDaemons } from './harness.js';

describe('connection limits (spec 4.7)', () => {
  const start = useDaemons();

  it('closes a connection over max-connections without a byte, and lets one in when another has left', async () => {
    const daemon = await start({ maxConnections: 2 });
    const [a, b] = [await daemon.open(), await daemon.open()];
    expect([await a.ask(PING), await b.ask(PING)]).toEqual(['ok', 'ok']);
    const refused = await daemon.open();
    await refused.whenClosed();
    expect(refused.received).toBe('');
    expect(await statsOf(a)).toMatchObject({ connections: 2 });
    b.destroy();
    await until(async () => (await statsOf(a))['connections'] === 1, 'the place of b');
    expect(await (await daemon.open()).ask(PING)).toBe('ok');
  });

  it('counts each address apart under max-connections-per-ip', async () => {
    const daemon = await start({ maxConnectionsPerIp: 1, maxConnections: 3 });
    const [a, b, a2] = [daemon.pair('192.0.2.1'), daemon.pair('192.0.2.2'), daemon.pair('192.0.2.1')];
    expect([await a.ask(PING), await b.ask(PING)]).toEqual(['ok', 'ok']);
    await a2.whenClosed();
    expect(a2.received).toBe('');
    const c = daemon.pair('192.0.2.3');
    expect(await c.ask(PING)).toBe('ok');
    const d = daemon.pair('192.0.2.4');
    await d.whenClosed();
    a.destroy();
    await until(async () => (await statsOf(b))['connections'] === 2, 'the place of a');
    expect(await daemon.pair('192.0.2.1').ask(PING)).toBe('ok');
  });

  it('gives each place of an address free once', async () => {
    const daemon = await start({ maxConnectionsPerIp: 2 });
    const other = daemon.pair('192.0.2.9');
    for (let round = 0; round < 3; round++) {
      const [a, b, refused] = [daemon.pair('192.0.2.1'), daemon.pair('192.0.2.1'), daemon.pair('192.0.2.1')];
      expect([await a.ask(PING), await b.ask(PING)]).toEqual(['ok', 'ok']);
      await refused.whenClosed();
      a.destroy();
      await until(async () => (await statsOf(other))['connections'] === 2, 'the place of a');
      const next = daemon.pair('192.0.2.1');
      expect(await next.ask(PING)).toBe('ok');
      const full = daemon.pair('192.0.2.1');
      await full.whenClosed();
      b.destroy();
      next.destroy();
      await until(async () => (await statsOf(other))['connections'] === 1, 'all places');
    }
  });

  it('counts an IPv4 address the same on a socket of both families', async () => {
    const daemon = await start({ host: '::', maxConnectionsPerIp: 1 }).catch(() => undefined);
    if (!daemon) return; // a machine without IPv6
    daemon.address.host = '127.0.0.1';
    const a = await daemon.open();
    expect(await a.ask(PING)).toBe('ok');
    const again = daemon.pair('127.0.0.1');
    await again.whenClosed();
  });

  it('takes hundreds of connections at once', async () => {
    const daemon = await start();
    const wires = await Promise.all(Array.from({ length: 300 }, () => daemon.open()));
    const replies = await Promise.all(wires.map((wire, i) => wire.ask(acquire(`many-${i}`))));
    expect(replies.filter((reply) => !GRANT.test(reply))).toEqual([]);
  });
});
