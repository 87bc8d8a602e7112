import { describe, expect, it } from '@jest/globals';
import { GRANT, PING, acquire, useDaemons } from './harness.js';

const signal = (payload: string): string => `signal\na.b\n${payload}\n`;

describe('signals over sockets (spec 6)', () => {
  const start = useDaemons();

  it('reach a listener that also waits for a lock', async () => {
    const daemon = await start();
    const [listener, holder] = [await daemon.open(), await daemon.open()];
    expect(await holder.ask(acquire('k'))).toMatch(GRANT);
    listener.send(`listen\na.>\n\n${acquire('k', 30)}`);
    expect(await listener.read()).toBe('ok\n');
    expect(await holder.ask(signal('x y'))).toBe('ok 1');
    expect(await listener.read()).toBe('sig a.b x y\n');
    holder.destroy();
    expect((await listener.read()).trim()).toMatch(GRANT);
  });

  it('do not stand between a request and its reply for one that does both', async () => {
    const daemon = await start();
    const wire = await daemon.open();
    expect(await wire.ask('listen\n>\n\n')).toBe('ok');
    wire.send(`${signal('1')}${PING}${signal('2')}`);
    const lines = (await wire.read(5)).trim().split('\n');
    expect(lines.filter((line) => !line.startsWith('sig '))).toEqual(['ok 1', 'ok', 'ok 1']);
    expect(lines.filter((line) => line.startsWith('sig '))).toEqual(['sig a.b 1', 'sig a.b 2']);
  });

  it('arrive in order, a thousand in one write, whatever carries the bytes', async () => {
    const daemon = await start();
    const wires = [await daemon.open(), daemon.pair()];
    for (const wire of wires) expect(await wire.ask('listen\na.*\n\n')).toBe('ok');
    const publisher = await daemon.open();
    const count = 1000;
    publisher.send(Array.from({ length: count }, (_, i) => signal(`${i}`)).join(''));
    expect(await publisher.read(count)).toBe('ok 2\n'.repeat(count));
    const wanted = Array.from({ length: count }, (_, i) => `sig a.b ${i}\n`).join('');
    for (const wire of wires) expect((await wire.read(count)) === wanted).toBe(true);
  });

  it('cost a listener that does not read its connection and its locks, and nobody else anything', async () => {
    const daemon = await start({ writeTimeout: 0 });
    const [deaf, other, publisher] = [await daemon.open(), await daemon.open(), await daemon.open()];
    for (const wire of [deaf, other]) expect(await wire.ask('listen\na.b\n\n')).toBe('ok');
    expect(await deaf.ask(acquire('k'))).toMatch(GRANT);
    deaf.pause();
    const payload = 'x'.repeat(60_000);
    let sent = 0;
    for (let reply = 'ok 2'; reply === 'ok 2'; sent++) {
      reply = await publisher.ask(signal(payload));
      expect(['ok 2', 'ok 1']).toContain(reply);
      expect(sent).toBeLessThan(2000);
    }
    expect(await publisher.ask(acquire('k', 5))).toMatch(GRANT);
    expect((await other.read(sent)).length).toBe(sent * 'sig a.b '.concat(payload, '\n').length);
    expect(await other.ask(PING)).toBe('ok');
  }, 30_000);
});
