import { describe, expect, it } from '@jest/globals';
import { CountingObserver } from '../../../support/counting-observer.js';
import { FakeEntropy } from '../../../support/fake-clock.js';
import { until } from '../../../support/until.js';
import { statsOf, turns } from '../harness.js';
import { type HttpDaemon, type HttpWire, inSession, request, useHttpDaemons } from './harness.js';

const start = useHttpDaemons();
const LONG = { readTimeout: 3600, httpSessionIdleTimeout: 0 };

const tokenIn = (body: string): string => (JSON.parse(body) as { token: string }).token;

async function send(daemon: HttpDaemon, id: string, path: string, body: object): Promise<HttpWire> {
  const wire = await daemon.open();
  wire.send(request('POST', path, JSON.stringify(body), inSession(id)));
  return wire;
}

const acquire = (daemon: HttpDaemon, id: string, key: string) =>
  send(daemon, id, `/v1/locks/${key}`, { acquire_timeout_s: 1000 });

/** What `stats` says about a key. */
async function waitersOf(daemon: HttpDaemon, key: string): Promise<number> {
  const tcp = await daemon.tcp();
  const { locks, semaphores } = await statsOf(tcp);
  tcp.destroy();
  const found = [...locks, ...semaphores].find((one: { key: string }) => one.key === key) as { waiters: number };
  return found?.waiters ?? 0;
}

const LEAVING: [string, (wire: HttpWire) => void][] = [
  ['FIN', (wire) => wire.socket.destroySoon()],
  ['RST', (wire) => wire.socket.resetAndDestroy()],
  ['half-close', (wire) => wire.socket.end()],
];

describe('a client that leaves (spec http 3.8, 4.1 to 4.3)', () => {
  it.each(LEAVING)('%s while an acquire waits ends the wait; the session and its locks stay', async (_, leave) => {
    const daemon = await start(LONG);
    const [holder, id] = [await daemon.session(), await daemon.session()];
    const token = tokenIn((await daemon.in(holder, '/v1/locks/k')).body);
    const mine = tokenIn((await daemon.in(id, '/v1/locks/mine')).body);
    const wire = await acquire(daemon, id, 'k');
    await until(async () => (await waitersOf(daemon, 'k')) === 1);
    leave(wire);
    await until(async () => (await waitersOf(daemon, 'k')) === 0);
    await wire.have(() => (wire.ended ? true : undefined), 'the end');
    expect(wire.received).toBe('');
    await daemon.in(holder, '/v1/locks/k/release', { token });
    expect((await daemon.in(id, '/v1/locks/k')).body).toContain('"ok"');
    expect((await daemon.in(id, '/v1/locks/mine/renew', { token: mine })).status).toBe(200);
  });

  it.each(LEAVING)('%s while a wait waits ends the wait and its place', async (_, leave) => {
    const daemon = await start(LONG);
    const [holder, id] = [await daemon.session(), await daemon.session()];
    await daemon.in(holder, '/v1/semaphores/k', { limit: 1 });
    await daemon.in(id, '/v1/semaphores/k/enqueue', { limit: 1 });
    const wire = await send(daemon, id, '/v1/semaphores/k/wait', { timeout_s: 1000 });
    await turns(12);
    leave(wire);
    await until(async () => (await waitersOf(daemon, 'k')) === 0);
    expect((await daemon.in(id, '/v1/semaphores/k/wait', { timeout_s: 0 })).status).toBe(409);
  });

  it('who leaves while waiting for its turn is not executed', async () => {
    const daemon = await start(LONG);
    const [holder, id] = [await daemon.session(), await daemon.session()];
    const token = tokenIn((await daemon.in(holder, '/v1/locks/k')).body);
    const first = await acquire(daemon, id, 'k');
    await turns(12);
    const second = await acquire(daemon, id, 'never');
    await turns(12);
    second.destroy();
    await turns(12);
    await daemon.in(holder, '/v1/locks/k/release', { token });
    expect((await first.answer()).body).toContain('"ok"');
    const tcp = await daemon.tcp();
    expect(await tcp.ask('l\nnever\n0\n')).toMatch(/^ok/);
  });

  it('bytes of a pipelined request do not count as leaving', async () => {
    const daemon = await start(LONG);
    const [holder, id] = [await daemon.session(), await daemon.session()];
    const token = tokenIn((await daemon.in(holder, '/v1/locks/k')).body);
    const wire = await acquire(daemon, id, 'k');
    await turns(12);
    wire.send(request('GET', '/health'));
    await turns(12);
    await daemon.in(holder, '/v1/locks/k/release', { token });
    expect((await wire.answer()).body).toContain('"ok"');
    expect((await wire.answer()).status).toBe(200);
  });

  it('a pipelined request of a client that leaves is not executed', async () => {
    const daemon = await start(LONG);
    const [holder, id, other] = [await daemon.session(), await daemon.session(), await daemon.session()];
    await daemon.in(holder, '/v1/locks/k');
    const wire = await acquire(daemon, id, 'k');
    wire.send(request('POST', '/v1/locks/never', '{}', inSession(other)));
    await turns(12);
    wire.destroy();
    await until(async () => (await waitersOf(daemon, 'k')) === 0);
    const tcp = await daemon.tcp();
    expect(await tcp.ask('l\nnever\n0\n')).toMatch(/^ok/);
  });

  it.each([
    ['CONNECT', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['another unknown method', 'BREW / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['no request', '\0\0nonsense\r\n\r\n'],
  ])('a client that leaves is noticed although it had sent %s behind its wait', async (_, text) => {
    const daemon = await start(LONG);
    const [holder, id] = [await daemon.session(), await daemon.session()];
    await daemon.in(holder, '/v1/locks/k');
    for (const [, leave] of LEAVING) {
      const wire = await acquire(daemon, id, 'k');
      await until(async () => (await waitersOf(daemon, 'k')) === 1);
      wire.send(text);
      await turns(12);
      leave(wire);
      await until(async () => (await waitersOf(daemon, 'k')) === 0);
    }
  });

  it('a grant and a departure at once: the lock goes to the next', async () => {
    const daemon = await start(LONG);
    const ids = await Promise.all(Array.from({ length: 3 }, () => daemon.session()));
    for (let round = 0; round < 30; round++) {
      const key = `k${round}`;
      const token = tokenIn((await daemon.in(ids[0]!, `/v1/locks/${key}`)).body);
      const leaver = await acquire(daemon, ids[1]!, key);
      await until(async () => (await waitersOf(daemon, key)) === 1);
      const next = await acquire(daemon, ids[2]!, key);
      await until(async () => (await waitersOf(daemon, key)) === 2);
      const release = send(daemon, ids[0]!, `/v1/locks/${key}/release`, { token });
      for (let i = 0; i < round % 6; i++) await turns(1);
      leaver.socket.resetAndDestroy();
      await release;
      // If the leaver was answered before it left, its session holds the lock.
      if (leaver.received === '') await Promise.race([next.answer(), until(() => leaver.closed, 'the leaver')]);
      next.destroy();
      await until(async () => (await waitersOf(daemon, key)) === 0);
    }
    for (const id of ids) await daemon.ask('DELETE', `/v1/sessions/${id}`);
    const tcp = await daemon.tcp();
    expect((await statsOf(tcp))['locks']).toEqual([]);
  });
});

describe('one queue (spec http 3.7)', () => {
  it.each([
    ['locks', 1],
    ['semaphores', 3],
  ])('1,000 waiters, alternately TCP and HTTP, are served in order: %s', async (kind, limit) => {
    const observer = new CountingObserver();
    const daemon = await start({ ...LONG, maxLocks: 10 }, { observer });
    const isLock = kind === 'locks';
    const ids = await Promise.all(Array.from({ length: 500 }, () => daemon.session()));
    const holder = await daemon.tcp();
    const tokens: string[] = [];
    for (let i = 0; i < limit; i++) {
      tokens.push((await holder.ask(isLock ? 'l\nk\n0 3600\n' : `sl\nk\n0 ${limit} 3600\n`)).split(' ')[1]!);
    }
    const served: number[] = [];
    const all: (() => Promise<void>)[] = [];
    for (let i = 0; i < 1000; i++) {
      const command = isLock ? 'l\nk\n1000 3600\n' : `sl\nk\n1000 ${limit} 3600\n`;
      if (i % 2 === 0) {
        const tcp = await daemon.tcp();
        tcp.send(command);
        all.push(async () => {
          const line = await tcp.read();
          served.push(i);
          tcp.send(`${isLock ? 'r' : 'sr'}\nk\n${line.split(' ')[1]}\n`);
          await tcp.read();
        });
      } else {
        const id = ids[(i - 1) / 2]!;
        const wire = await send(daemon, id, `/v1/${kind}/k`, {
          acquire_timeout_s: 1000,
          ...(isLock ? {} : { limit }),
        });
        all.push(async () => {
          const { body } = await wire.answer();
          served.push(i);
          wire.send(request('POST', `/v1/${kind}/k/release`, JSON.stringify({ token: tokenIn(body) }), inSession(id)));
          expect((await wire.answer()).status).toBe(204);
        });
      }
      // The order of arrival is the order of the queue.
      while (observer.waiting <= i) await turns(1);
    }
    for (const token of tokens) holder.send(`${isLock ? 'r' : 'sr'}\nk\n${token}\n`);
    await Promise.all(all.map((serve) => serve()));
    expect(served.length).toBe(1000);
    // Several slots are granted at once, and their answers may overtake each other on their connections.
    served.forEach((i, at) => expect(Math.abs(i - at)).toBeLessThanOrEqual(isLock ? 0 : 2 * limit));
  });
});

describe('waits that end in all ways', () => {
  it('leave no holder, waiter, session or connection behind', async () => {
    const random = new FakeEntropy(19);
    const daemon = await start({ ...LONG, maxLocks: 100 });
    const wires: HttpWire[] = [];
    for (let i = 0; i < 300; i++) {
      const id = await daemon.session();
      const key = `k${Math.floor(random.unit() * 5)}`;
      const seconds = random.unit() < 0.3 ? 1 : 1000;
      const wire = await send(daemon, id, `/v1/locks/${key}`, { acquire_timeout_s: seconds, lease_ttl_s: 1000 });
      wires.push(wire);
      const end = random.unit();
      if (end < 0.2) wire.socket.resetAndDestroy();
      else if (end < 0.4) setTimeout(() => wire.socket.end(), random.unit() * 200);
      else if (end < 0.6) setTimeout(() => wire.destroy(), random.unit() * 200);
      else if (end < 0.8) void daemon.ask('DELETE', `/v1/sessions/${id}`).catch(() => undefined);
    }
    await turns(50);
    const closing = daemon.server.close();
    await closing;
    await until(() => wires.every(({ ended, socket }) => ended || socket.destroyed));
    expect(JSON.stringify(daemon.server)).toContain('"connections":0');
  });
});
