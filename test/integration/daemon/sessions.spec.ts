import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { createEngine } from '../../../lib/daemon/shared/create-engine.js';
import { silent } from '../../../lib/daemon/shared/logger.js';
import { resolveServerOptions } from '../../../lib/daemon/shared/options.js';
import { FakeClock } from '../../support/fake-clock.js';
import { stopwatch } from '../../support/stopwatch.js';
import { until } from '../../support/until.js';
import type { Wire } from '../../support/wire.js';
import { GRANT, PING, STATS, acquire, release, statsOf, tokenOf, turns, useDaemons } from './harness.js';

const heap = (): number => {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
};

/** Writes as long as the server takes it; gives up when nothing is taken for `stuckMs`, or at `most` bytes. */
async function flood(wire: Wire, chunk: string, most: number, stuckMs: number): Promise<number> {
  let sent = 0;
  while (sent < most && wire.stream.writable) {
    sent += chunk.length;
    if (wire.stream.write(chunk, 'latin1')) continue;
    const drained = once(wire.stream, 'drain', { signal: AbortSignal.timeout(stuckMs) }).then(
      () => true,
      () => false,
    );
    if (!(await drained)) break;
  }
  return sent;
}

describe('a peer that does not read (spec 1.5, 1.6)', () => {
  const start = useDaemons();

  it('is disconnected after the write timeout, and its locks are passed on', async () => {
    const daemon = await start({ writeTimeout: 0.5 });
    const [deaf, waiter] = [await daemon.open(), await daemon.open()];
    expect(await deaf.ask(acquire('k'))).toMatch(GRANT);
    for (let i = 0; i < 200; i++) await waiter.ask(acquire(`some-${i}-${'x'.repeat(200)}`));
    waiter.send(acquire('k', 30));
    deaf.pause();
    const began = performance.now();
    await flood(deaf, STATS.repeat(1000), 100e6, 2000);
    expect((await waiter.read(1, 15_000)).trim()).toMatch(GRANT);
    expect(performance.now() - began).toBeGreaterThan(500);
    await until(async () => (await statsOf(waiter))['connections'] === 1, 'the end of the deaf connection');
  }, 30_000);

  it('stops the server from reading more, so that memory stays bounded', async () => {
    const daemon = await start({ writeTimeout: 0, readTimeout: 60 });
    const [deaf, other] = [await daemon.open(), await daemon.open()];
    for (let i = 0; i < 500; i++) await other.ask(acquire(`some-${i}-${'x'.repeat(200)}`));
    deaf.pause();
    const before = heap();
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, heap() - before)), 5);
    const chunk = STATS.repeat(6554);
    const sent = await flood(deaf, chunk, 200e6, 700);
    clearInterval(watch);
    // Each of these 10 bytes is answered with 170 KB.
    expect(sent).toBeLessThan(50e6);
    expect(most).toBeLessThan(100e6);
    expect(await other.ask(PING)).toBe('ok');
  }, 60_000);

  it('keeps no lock while its last line waits to be read', async () => {
    const clock = new FakeClock();
    const daemon = await start({ writeTimeout: 5 }, { clock });
    const [deaf, other] = [daemon.pair(), daemon.pair()];
    expect(await deaf.ask(acquire('k'))).toMatch(GRANT);
    deaf.pause();
    deaf.send(`${PING.repeat(50_000)}${'x'.repeat(300)}\n`);
    await until(async () => GRANT.test(await other.ask(acquire('k'))), 'the lock');
    expect(await statsOf(other)).toMatchObject({ connections: 2 });
    clock.advance(5_000);
    await until(async () => (await statsOf(other))['connections'] === 1, 'the end of the deaf connection');
  });

  it('gets every reply in order once it reads again', async () => {
    const daemon = await start({ writeTimeout: 0 });
    const wire = await daemon.open();
    for (let i = 0; i < 100; i++) await wire.ask(acquire(`some-${i}-${'x'.repeat(200)}`));
    wire.stream.pause();
    const count = 2000;
    wire.send(`${STATS}${PING}`.repeat(count));
    await new Promise((resolve) => setTimeout(resolve, 100));
    wire.stream.resume();
    const lines = (await wire.read(2 * count, 20_000)).split('\n');
    expect(lines.filter((line, i) => i % 2 === 0 && line !== '' && !line.startsWith('ok {'))).toEqual([]);
    expect(lines.filter((line, i) => i % 2 === 1 && line !== 'ok')).toEqual([]);
  }, 30_000);
});

describe('pipelining (spec 1.6)', () => {
  const start = useDaemons();

  it('answers chunks of 64 KiB in order', async () => {
    const daemon = await start({ maxLocks: 1_000_000 });
    const wire = await daemon.open();
    const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}`);
    wire.send(keys.map((key) => acquire(key)).join(''));
    const tokens = (await wire.read(keys.length, 20_000)).trim().split('\n').map(tokenOf);
    expect(new Set(tokens).size).toBe(keys.length);
    expect([...tokens].sort()).toEqual(tokens);
    wire.send(keys.map((key, i) => release(key, tokens[i]!)).join(''));
    expect(await wire.read(keys.length, 20_000)).toBe('ok\n'.repeat(keys.length));
  }, 30_000);

  it('does not keep others waiting behind a long pipeline', async () => {
    const daemon = await start();
    const [busy, other] = [await daemon.open(), await daemon.open()];
    const done = flood(busy, PING.repeat(5000), 5e6, 2000);
    let slowest = 0;
    for (let i = 0; i < 10; i++) {
      const took = stopwatch();
      expect(await other.ask(PING)).toBe('ok');
      slowest = Math.max(slowest, took());
    }
    busy.destroy();
    await done;
    expect(slowest).toBeLessThan(1000);
  }, 30_000);
});

describe('behind a blocked command (spec 1.7)', () => {
  const start = useDaemons();

  async function blocked(): Promise<{ holder: Wire; token: string; waiter: Wire }> {
    const daemon = await start();
    const [holder, waiter] = [await daemon.open(), await daemon.open()];
    const token = tokenOf(await holder.ask(acquire('k')));
    return { holder, token, waiter };
  }

  const tail = (bytes: number): string =>
    PING.repeat(Math.floor(bytes / PING.length)) + 'x'.repeat(bytes % PING.length);

  it.each([1, 100, 4095])('%i bytes are kept and answered in order', async (bytes) => {
    const { holder, token, waiter } = await blocked();
    waiter.send(acquire('k', 10) + tail(bytes));
    await until(async () => (await statsOf(holder))['locks'][0].waiters === 1, 'the waiter');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(waiter.received).toBe('');
    await holder.ask(release('k', token));
    const lines = (await waiter.read(1 + Math.floor(bytes / PING.length))).split('\n');
    expect(lines[0]).toMatch(GRANT);
    expect(lines.slice(1, -1).every((line) => line === 'ok')).toBe(true);
  });

  it.each([
    ['at once', 4096, 1],
    ['in pieces', 4096, 64],
    ['by far', 300_000, 65_536],
  ])('4,096 bytes %s kill the connection without a word, and its place goes to the next', async (_, bytes, piece) => {
    const { holder, token, waiter } = await blocked();
    waiter.send(acquire('k', 10));
    await until(async () => (await statsOf(holder))['locks'][0].waiters === 1, 'the waiter');
    for (const rest = tail(bytes), at = { value: 0 }; at.value < bytes; at.value += piece) {
      waiter.send(rest.slice(at.value, at.value + piece));
    }
    await waiter.whenClosed();
    expect(waiter.received).toBe('');
    expect((await statsOf(holder))['locks'][0].waiters).toBe(0);
    expect(await holder.ask(release('k', token))).toBe('ok');
  });

  it('any number of bytes are fine when it is answered at once', async () => {
    const daemon = await start();
    const wire = await daemon.open();
    wire.send(acquire('k', 10) + PING.repeat(5000));
    const lines = (await wire.read(5001)).split('\n');
    expect(lines[0]).toMatch(GRANT);
  });

  it.each([
    ['half-close', (wire: Wire) => wire.end()],
    ['close', (wire: Wire) => wire.destroy()],
    ['reset', (wire: Wire) => wire.reset()],
  ])('a %s gives the place up', async (_, leave) => {
    const { holder, waiter } = await blocked();
    waiter.send(acquire('k', 10));
    await until(async () => (await statsOf(holder))['locks'][0].waiters === 1, 'the waiter');
    leave(waiter);
    await until(async () => (await statsOf(holder))['connections'] === 1, 'the end of the waiter');
    expect((await statsOf(holder))['locks'][0].waiters).toBe(0);
    expect(waiter.received).toBe('');
  });
});

describe('a peer that leaves (spec 1.1, 4.6)', () => {
  const start = useDaemons();

  it.each([
    ['FIN', (wire: Wire) => wire.end()],
    ['close', (wire: Wire) => wire.destroy()],
    ['reset', (wire: Wire) => wire.reset()],
  ])('by %s frees all it holds at once', async (_, leave) => {
    const daemon = await start();
    const [holder, waiter] = [await daemon.open(), await daemon.open()];
    expect(await holder.ask(acquire('k'))).toMatch(GRANT);
    waiter.send(acquire('k', 10));
    await turns();
    leave(holder);
    expect((await waiter.read()).trim()).toMatch(GRANT);
  });

  it('is answered what it had asked before its FIN', async () => {
    const daemon = await start();
    const wire = await daemon.open();
    wire.send(`${PING}${acquire('k')}e\nk\n`);
    wire.end();
    await wire.whenClosed();
    expect(wire.received).toMatch(/^ok\nok [0-9a-f]{32} 33\n$/);
  });

  it('gets all of a long answer after its FIN, and then an end, not a reset', async () => {
    const daemon = await start();
    const wire = await daemon.open();
    for (let i = 0; i < 100; i++) await wire.ask(acquire(`key-${i}-${'x'.repeat(200)}`));
    wire.forget();
    const failures: Error[] = [];
    wire.stream.on('error', (error) => failures.push(error));
    wire.stream.pause();
    // A slow reader: what is left at the end is more than the kernel takes.
    wire.stream.on('data', () => {
      wire.stream.pause();
      setTimeout(() => wire.stream.resume(), 1);
    });
    wire.send(STATS.repeat(300));
    wire.end();
    await turns(20);
    wire.stream.resume();
    await wire.whenClosed();
    expect(wire.received.length).toBeGreaterThan(6_000_000);
    expect(wire.received.split('\n')).toHaveLength(301);
    expect(failures).toEqual([]);
  });

  it('does no harm by hundreds in the middle of anything', async () => {
    const daemon = await start();
    const wires = await Promise.all(Array.from({ length: 200 }, () => daemon.open()));
    wires.forEach((wire, i) => {
      wire.send(`${acquire('same', 30)}${PING.repeat(i)}l\nhalf`);
      setTimeout(() => (i % 3 === 0 ? wire.reset() : i % 3 === 1 ? wire.destroy() : wire.end()), i % 20);
    });
    const last = await daemon.open();
    await until(async () => (await statsOf(last))['connections'] === 1, 'the end of all');
    expect(await last.ask(acquire('same'))).toMatch(GRANT);
  });
});

describe('a hand-over', () => {
  const start = useDaemons();

  it('tells the next holder first, and then who has released', async () => {
    const daemon = await start();
    const [holder, waiter] = [daemon.pair(), daemon.pair()];
    const heard: string[] = [];
    const token = tokenOf(await holder.ask(acquire('k')));
    waiter.send(acquire('k', 10));
    await turns();
    holder.stream.on('data', () => heard.push('holder'));
    waiter.stream.on('data', () => heard.push('waiter'));
    holder.send(release('k', token));
    await turns();
    expect(heard).toEqual(['waiter', 'holder']);
  });
});

describe('the end of a connection', () => {
  const start = useDaemons();

  it.each([
    ['in good order', (wire: Wire) => void wire.stream.end()],
    ['in the middle', (wire: Wire) => void wire.stream.destroy()],
    ['after a line that is too long', (wire: Wire) => wire.send(`${'x'.repeat(300)}\n`)],
  ])('%s is told to the engine once', async (_, end) => {
    const driver = createEngine(resolveServerOptions({}), systemClock, systemEntropy, silent);
    const { engine } = driver;
    const close = engine.close.bind(engine);
    let closed = 0;
    engine.close = (...args) => {
      closed++;
      close(...args);
    };
    const daemon = await start({}, { driver });
    const [wire, other] = [await daemon.open(), await daemon.open()];
    expect(await wire.ask(acquire('k'))).toMatch(GRANT);
    end(wire);
    expect(await other.ask(acquire('k', 5))).toMatch(GRANT);
    await until(async () => (await statsOf(other))['connections'] === 1, 'the end of the connection');
    expect(closed).toBe(1);
  });
});
