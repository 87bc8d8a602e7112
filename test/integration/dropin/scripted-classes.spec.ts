import { describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { DistributedLock, DistributedSemaphore, LockError, stats } from '../../../lib/entries/client.js';
import { freePort } from '../../support/free-port.mjs';
import { until } from '../../support/until.js';
import { obliging, type Script, TOKEN } from './support/scripted-server.js';
import { useWorld } from './support/world.js';

describe('bytes on the wire', () => {
  const world = useWorld();

  it('of a lock with every option', async () => {
    const server = await world.scripted(obliging());
    const lock = new DistributedLock({
      key: 'k',
      servers: server.servers,
      auth: 'secret',
      acquireTimeoutS: 3,
      leaseTtlS: 20,
    });
    await lock.acquire();
    await lock.release();
    await until(() => server.peers[0]!.ended, 'the end');
    expect(server.received).toBe(`auth\n_\nsecret\nl\nk\n3 20\nr\nk\n${TOKEN}\n`);
    expect(server.peers[0]!.chunks).toHaveLength(3);
  });

  it('of a semaphore without any', async () => {
    const server = await world.scripted(obliging());
    const slot = new DistributedSemaphore({ key: 'k', limit: 4, servers: server.servers });
    await slot.acquire();
    await slot.release();
    expect(server.received).toBe(`sl\nk\n10 4\nsr\nk\n${TOKEN}\n`);
  });

  it('of two-phase calls; a hold needs no wait', async () => {
    const server = await world.scripted(([command]) => (command === 'e' ? 'queued\n' : `ok ${TOKEN} 33\n`));
    const lock = world.own(new DistributedLock({ key: 'k', servers: server.servers, leaseTtlS: 7 }));
    await lock.enqueue();
    await lock.wait(4);
    expect(server.received).toBe('e\nk\n7\nw\nk\n4\n');
    server.script = obliging();
    const slot = world.own(new DistributedSemaphore({ key: 'k', limit: 2, servers: server.servers }));
    expect(await slot.enqueue()).toBe('acquired');
    expect(await slot.wait()).toBe(true);
    await slot.release();
    expect(server.peers[1]!.received).toBe(`se\nk\n2\nsr\nk\n${TOKEN}\n`);
  });

  it('of a close: nothing', async () => {
    const server = await world.scripted(obliging());
    const lock = new DistributedLock({ key: 'k', servers: server.servers });
    await lock.acquire();
    lock.close();
    await until(() => server.peers[0]!.ended, 'the end');
    expect(server.received).toBe('l\nk\n10\n');
  });

  it('of stats', async () => {
    const body = { connections: 1, locks: [], semaphores: [], idle_locks: [], idle_semaphores: [] };
    const server = await world.scripted(([command]) => (command === 'auth' ? 'ok\n' : `ok ${JSON.stringify(body)}\n`));
    expect(await stats({ port: server.port, auth: 'a' })).toEqual(body);
    await until(() => server.peers[0]!.ended, 'the end');
    expect(server.received).toBe('auth\n_\na\nstats\n_\n\n');
    for (const bad of ['ok {', 'ok', 'ok 5', 'error']) {
      server.script = () => `${bad}\n`;
      await expect(stats({ port: server.port })).rejects.toThrow(/stats/);
    }
    server.script = (_lines, peer) => void peer.socket.end();
    await expect(stats({ port: server.port })).rejects.toThrow('server closed connection');
  });
});

describe('shards', () => {
  const world = useWorld();

  it('are chosen by the strategy for each connection, and renewed and released there', async () => {
    const [a, b] = [await world.scripted(obliging()), await world.scripted(obliging())];
    const asked: [string, number][] = [];
    let turn = 0;
    const lock = new DistributedLock({
      key: 'k',
      servers: [...a.servers, ...b.servers],
      shardingStrategy: (key, count) => {
        asked.push([key, count]);
        return turn++ % 2;
      },
    });
    for (let i = 0; i < 4; i++) {
      await lock.acquire();
      await lock.release();
    }
    expect([a.peers.length, b.peers.length]).toEqual([2, 2]);
    expect(asked).toEqual(Array.from({ length: 4 }, () => ['k', 2]));
  });

  it.each([2, -1, 0.5, NaN, '0', undefined])('a strategy that says %p is refused when connecting', async (index) => {
    const server = await world.scripted();
    const lock = new DistributedLock({ key: 'k', servers: server.servers, shardingStrategy: () => index as number });
    await expect(lock.acquire()).rejects.toBeInstanceOf(LockError);
    await expect(lock.enqueue()).rejects.toBeInstanceOf(LockError);
    expect(server.peers).toHaveLength(0);
  });
});

describe('connecting', () => {
  const world = useWorld();

  it('a refused connection is the error of the socket, and closes', async () => {
    const port = await freePort();
    const lock = new DistributedLock({ key: 'k', host: '127.0.0.1', port });
    await expect(lock.acquire()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(lock.enqueue()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(stats({ port })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(lock.release()).rejects.toBeInstanceOf(LockError);
  });

  it('takes no longer than connectTimeoutMs; the error says how long and where', async () => {
    // TLS that is never answered.
    const server = await world.scripted();
    const options = { tls: {}, connectTimeoutMs: 60, port: server.port };
    const lock = new DistributedLock({ key: 'k', ...options });
    const since = performance.now();
    const error = (await lock.acquire().catch((reason: unknown) => reason)) as Error;
    expect(performance.now() - since).toBeGreaterThanOrEqual(59);
    expect([error instanceof LockError, error.name]).toEqual([true, 'LockError']);
    expect(error.message).toContain(`127.0.0.1:${server.port}`);
    expect(error.message).toContain('60');
    await expect(stats(options)).rejects.toThrow(/timed out/);
  });

  it.each([-1, 65_536, 1.5])('to port %p is the error of Node', async (port) => {
    await expect(new DistributedLock({ key: 'k', port }).acquire()).rejects.toMatchObject({
      code: 'ERR_SOCKET_BAD_PORT',
    });
  });

  it('that ends during auth', async () => {
    const server = await world.scripted((_lines, peer) => void peer.socket.end());
    const lock = new DistributedLock({ key: 'k', servers: server.servers, auth: 'a' });
    await expect(lock.acquire()).rejects.toMatchObject({ name: 'LockError', message: 'server closed connection' });
  });
});

describe('failures of an acquire', () => {
  const world = useWorld();
  const FAILURES: [string, Script][] = [
    ['a refusal', () => 'error_max_locks\n'],
    ['garbage', () => '\0\u0001 what\n'],
    ['FIN', (_lines, peer) => void peer.socket.end()],
    ['half a line and FIN', (_lines, peer) => void peer.socket.end('ok t')],
    ['a reset', (_lines, peer) => void peer.socket.resetAndDestroy()],
    ['a line without end', () => 'x'.repeat(1024 * 1024 + 1)],
  ];

  it.each(FAILURES)('%s closes the connection, and leaves the lock usable', async (_name, script) => {
    const server = await world.scripted(script);
    const lock = world.own(new DistributedLock({ key: 'k', servers: server.servers }));
    for (const call of [() => lock.acquire(), () => lock.enqueue()]) {
      await expect(call()).rejects.toMatchObject({ message: expect.any(String) });
      expect([lock.token, lock.lease]).toEqual([null, 0]);
    }
    await until(() => server.peers.every((peer) => peer.ended), 'the ends');
    server.script = obliging();
    expect(await lock.acquire()).toBe(true);
  });

  it('a failed wait closes', async () => {
    const server = await world.scripted(([command]) => (command === 'e' ? 'queued\n' : 'error_not_enqueued\n'));
    const lock = world.own(new DistributedLock({ key: 'k', servers: server.servers }));
    await lock.enqueue();
    await expect(lock.wait(1)).rejects.toThrow(/wait.*'error_not_enqueued'/);
    await until(() => server.peers[0]!.ended, 'the end');
  });

  it('a place whose connection has ended', async () => {
    const server = await world.scripted(() => 'queued\n');
    const lock = world.own(new DistributedLock({ key: 'k', servers: server.servers }));
    await lock.enqueue();
    server.peers[0]!.socket.end();
    await expect(lock.wait(1)).rejects.toThrow('server closed connection');
  });
});

describe('socketTimeoutMs', () => {
  const world = useWorld();

  it('ends a silent connection, but not while a lock is waited for', async () => {
    const lost: string[] = [];
    const server = await world.scripted((lines, peer) => {
      if (lines[0] === 'l') setTimeout(() => peer.say(`ok ${TOKEN} 33\n`), 120);
    });
    const lock = world.own(
      new DistributedLock({
        key: 'k',
        servers: server.servers,
        socketTimeoutMs: 60,
        onLockLost: (key, token) => void lost.push(`${key} ${token}`),
      }),
    );
    expect(await lock.acquire()).toBe(true);
    await until(() => lost.length > 0, 'the loss');
    expect(lost).toEqual([`k ${TOKEN}`]);
    expect(lock.token).toBeNull();
    server.script = () => undefined;
    await expect(lock.enqueue()).rejects.toThrow(/60 ms/);
  });
});

describe('what a release does not wait for', () => {
  const world = useWorld();

  it.each<[string, Script]>([
    ['error', () => 'error\n'],
    ['an end', (_lines, peer) => void peer.socket.end()],
    ['a reset', (_lines, peer) => void peer.socket.resetAndDestroy()],
  ])('%s is ignored', async (_name, script) => {
    const server = await world.scripted((lines, peer) =>
      lines[0] === 'r' ? script(lines, peer) : obliging()(lines, peer),
    );
    const lost: string[] = [];
    const lock = new DistributedLock({ key: 'k', servers: server.servers, onLockLost: (key) => void lost.push(key) });
    await lock.acquire();
    await lock.release();
    await pause(10);
    expect(lost).toEqual([]);
  });
});
