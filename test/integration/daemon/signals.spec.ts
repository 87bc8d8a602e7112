import { describe, expect, it } from '@jest/globals';
import { SignalMemory } from '../../../lib/daemon/fairness/signal-memory.js';
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

  it('to thousands of listeners leave room for others, and for what their publisher asks behind them', async () => {
    const daemon = await start();
    const count = 6_000;
    const listeners = Array.from({ length: count }, () => daemon.pair());
    for (const wire of listeners) expect(await wire.ask('listen\na.b\n\n')).toBe('ok');
    const [publisher, other] = [daemon.pair(), daemon.pair()];
    // More than may stand behind a command that waits.
    publisher.send(signal('1') + signal('2') + PING.repeat(1_000) + acquire('k'));
    let answered = 0;
    while (!publisher.has(2)) {
      expect(await other.ask(PING)).toBe('ok');
      answered++;
    }
    expect(answered).toBeGreaterThan(4);
    const replies = (await publisher.read(1_003)).trimEnd().split('\n');
    expect(replies.slice(0, 3)).toEqual([`ok ${count}`, `ok ${count}`, 'ok']);
    expect(replies.at(-1)).toMatch(GRANT);
    for (const wire of listeners) expect(await wire.read(2)).toBe('sig a.b 1\nsig a.b 2\n');
  });

  it('are answered though their publisher has nothing more to say', async () => {
    const daemon = await start();
    const listeners = Array.from({ length: 1_000 }, () => daemon.pair());
    for (const wire of listeners) expect(await wire.ask('listen\na.b\n\n')).toBe('ok');
    const publisher = await daemon.open();
    publisher.send(signal('1'));
    publisher.end();
    expect(await publisher.read()).toBe('ok 1000\n');
    await publisher.whenClosed();
  });

  it('may be listened to by 10,000 patterns of a connection, or as many as the flag says', async () => {
    const listen = (i: number): string => `listen\np.${i}\n\n`;
    const daemon = await start();
    const wire = daemon.pair();
    wire.send(Array.from({ length: 10_001 }, (_, i) => listen(i)).join(''));
    const replies = await wire.read(10_001, 20_000);
    expect(replies).toBe('ok\n'.repeat(10_000).concat('error\n'));
    expect(await wire.ask(PING)).toBe('ok');
    const strict = (await start({ maxSubscriptions: 1 })).pair();
    strict.send(listen(0) + listen(1));
    expect(await strict.read(2)).toBe('ok\nerror\n');
  });
});

describe('the memory of signals that wait', () => {
  it('is shared: who keeps much of it waiting counts as full when all of it is used', () => {
    const memory = new SignalMemory(1_000_000);
    expect(memory.allows(500_000)).toBe(true);
    memory.take(999_999);
    expect(memory.allows(500_000)).toBe(true);
    memory.take(1);
    expect([memory.allows(500_000), memory.allows(65_536), memory.allows(65_535)]).toEqual([false, false, true]);
    memory.free(1);
    expect(memory.allows(500_000)).toBe(true);
  });
});
