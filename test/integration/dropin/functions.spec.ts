import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  acquire,
  AcquireTimeoutError,
  enqueue,
  LockError,
  publish,
  release,
  renew,
  semAcquire,
  semEnqueue,
  semRelease,
  semRenew,
  semWaitForLock,
  SignalConnection,
  waitForLock,
} from '../../../lib/entries/client.js';
import { inTime, until } from '../../support/until.js';
import { ScriptedServer, TOKEN } from './support/scripted-server.js';
import { newKey, PLACES, RUNNING_IS_OLD, useWorld, World, type Reach } from './support/world.js';

async function open(world: World, { host, port, tls, auth }: Reach): Promise<Socket> {
  const socket = tls ? connectTls({ host, port, ...tls }) : connectTcp({ host, port });
  world.own(socket);
  await once(socket, tls ? 'secureConnect' : 'connect');
  if (auth !== undefined) {
    socket.write(`auth\n_\n${auth}\n`);
    await once(socket, 'data');
  }
  return socket;
}

describe.each(PLACES)('socket-level functions: %s', (name, place) => {
  const world = useWorld();
  let a: Socket;
  let b: Socket;
  let key: string;

  beforeEach(async () => {
    const at = await place(world);
    [a, b] = [await open(world, at), await open(world, at)];
    key = newKey();
  });

  it('take, renew and release a lock', async () => {
    const { token, lease } = await acquire(a, key, 0, 20);
    expect(token).toMatch(/^[0-9a-f]{32}$/);
    expect(lease).toBe(20);
    await expect(acquire(b, key, 0)).rejects.toBeInstanceOf(AcquireTimeoutError);
    expect(await renew(a, key, token, 15)).toBe(15);
    expect(await renew(a, key, token)).toBe(33);
    await release(a, key, token);
    await expect(release(a, key, token)).rejects.toThrow(/release.*'error'/);
    await expect(renew(a, key, token)).rejects.toThrow(/renew.*'error'/);
    expect((await acquire(b, key, 0)).lease).toBe(33);
  });

  it('stand in line', async () => {
    const first = await enqueue(a, key, 9);
    expect(first).toEqual({ status: 'acquired', token: expect.stringMatching(/^[0-9a-f]{32}$/), lease: 9 });
    expect(await enqueue(b, key, 7)).toEqual({ status: 'queued', token: null, lease: null });
    await expect(enqueue(b, key)).rejects.toThrow(/enqueue.*'error_already_enqueued'/);
    const waited = waitForLock(b, key, 5);
    await release(a, key, first.token!);
    expect(await waited).toMatchObject({ lease: 7 });
    await expect(waitForLock(a, newKey(), 0)).rejects.toThrow(/wait.*'error_not_enqueued'/);
  });

  it('take slots of a semaphore', async () => {
    const { token } = await semAcquire(a, key, 0, 2);
    const second = await semAcquire(a, key, 0, 2, 12);
    expect(second.lease).toBe(12);
    await expect(semAcquire(b, key, 0, 2)).rejects.toThrow(key);
    await expect(semAcquire(b, key, 0, 3)).rejects.toThrow(/sem_acquire.*'error_limit_mismatch'/);
    expect(await semRenew(a, key, token, 9)).toBe(9);
    expect((await semEnqueue(b, key, 2)).status).toBe('queued');
    await expect(semWaitForLock(b, key, 0)).rejects.toBeInstanceOf(AcquireTimeoutError);
    await semRelease(a, key, token);
    expect(await semEnqueue(b, key, 2, 8)).toMatchObject({ status: 'acquired', lease: 8 });
    expect((await semWaitForLock(b, key, 0)).lease).toBe(8);
    await expect(semRelease(a, key, token)).rejects.toThrow(/sem_release.*'error'/);
    await expect(semRenew(a, key, token)).rejects.toThrow(/sem_renew.*'error'/);
    await expect(semWaitForLock(a, key, 0)).rejects.toThrow(/sem_wait.*'error_not_enqueued'/);
    await expect(semEnqueue(a, key, 5)).rejects.toThrow(/sem_enqueue.*'error_limit_mismatch'/);
  });

  const signals = RUNNING_IS_OLD && name === process.env.DFLOCKD_TEST_ADDR ? it.skip : it;
  signals('publish', async () => {
    expect(await publish(a, `${key}.x`, 'nobody')).toBe(0);
    await expect(publish(a, `${key}.*`, 'x')).rejects.toThrow(/signal.*'error'/);
  });
});

describe('what socket-level functions write', () => {
  const world = useWorld();

  const CALLS: [bytes: string, answer: string, call: (sock: Socket) => Promise<unknown>, result: unknown][] = [
    ['l\nk\n10\n', `ok ${TOKEN} 33`, (s) => acquire(s, 'k', 10), { token: TOKEN, lease: 33 }],
    ['l\nk\n0 60\n', `ok ${TOKEN} 60`, (s) => acquire(s, 'k', 0, 60), { token: TOKEN, lease: 60 }],
    ['sl\nk\n1 3\n', `ok ${TOKEN} 33`, (s) => semAcquire(s, 'k', 1, 3), { token: TOKEN, lease: 33 }],
    ['sl\nk\n1 3 7\n', `ok ${TOKEN} 7`, (s) => semAcquire(s, 'k', 1, 3, 7), { token: TOKEN, lease: 7 }],
    ['e\nk\n\n', 'queued', (s) => enqueue(s, 'k'), { status: 'queued', token: null, lease: null }],
    ['e\nk\n5\n', 'acquired t 5', (s) => enqueue(s, 'k', 5), { status: 'acquired', token: 't', lease: 5 }],
    ['se\nk\n3\n', 'queued', (s) => semEnqueue(s, 'k', 3), { status: 'queued', token: null, lease: null }],
    ['se\nk\n3 5\n', 'acquired t 5', (s) => semEnqueue(s, 'k', 3, 5), { status: 'acquired', token: 't', lease: 5 }],
    ['w\nk\n4\n', 'ok t 5', (s) => waitForLock(s, 'k', 4), { token: 't', lease: 5 }],
    ['sw\nk\n0\n', 'ok t 5', (s) => semWaitForLock(s, 'k', 0), { token: 't', lease: 5 }],
    ['n\nk\nt\n', 'ok 33', (s) => renew(s, 'k', 't'), 33],
    ['n\nk\nt 9\n', 'ok 9', (s) => renew(s, 'k', 't', 9), 9],
    ['sn\nk\nt\n', 'ok 33', (s) => semRenew(s, 'k', 't'), 33],
    ['sn\nk\nt 9\n', 'ok 9', (s) => semRenew(s, 'k', 't', 9), 9],
    ['r\nk\nt\n', 'ok', (s) => release(s, 'k', 't'), undefined],
    ['sr\nk\nt\n', 'ok', (s) => semRelease(s, 'k', 't'), undefined],
    ['signal\na.b\n x y \n', 'ok 3', (s) => publish(s, 'a.b', ' x y '), 3],
    ['l\nкл ю\n0\n', 'ok т 5', (s) => acquire(s, 'кл ю', 0), { token: 'т', lease: 5 }],
  ];

  it.each(CALLS)('%j, in one write', async (bytes, answer, call, result) => {
    const server = await world.scripted(() => `${answer}\n`);
    expect(await call(world.own(await server.socket()))).toEqual(result);
    expect(Buffer.from(server.received, 'latin1').toString()).toBe(bytes);
    expect(server.peers[0]!.chunks).toHaveLength(1);
  });
});

describe('what socket-level functions make of replies', () => {
  const world = useWorld();
  let server: ScriptedServer;
  let sock: Socket;
  let answer: string;

  beforeEach(async () => {
    server = await world.scripted(() => answer);
    sock = world.own(await server.socket());
  });

  const LEASES: [string, number][] = [
    ['ok t', 30],
    ['ok t ', 30],
    ['ok t x', 30],
    ['ok t -1', 30],
    ['ok t NaN', 30],
    ['ok t Infinity', 30],
    ['ok t 0', 0],
    ['ok t 12 more', 12],
    ['ok t 5\r', 5],
  ];
  it.each(LEASES)('%j is a lease of %d', async (reply, lease) => {
    answer = `${reply}\n`;
    expect(await acquire(sock, 'k', 0)).toEqual({ token: 't', lease });
  });

  it.each([
    ['ok 7', 5, 7],
    ['ok', 5, 5],
    ['ok', undefined, 30],
    ['ok x', 5, 5],
    ['ok -3', undefined, 30],
    ['ok 0', 5, 0],
  ])('%j to a renewal for %p is %d', async (reply, asked, lease) => {
    answer = `${reply}\n`;
    expect(await renew(sock, 'k', 't', asked)).toBe(lease);
  });

  const OPERATIONS: [string, (sock: Socket) => Promise<unknown>][] = [
    ['acquire', (s) => acquire(s, 'k', 0)],
    ['renew', (s) => renew(s, 'k', 't')],
    ['enqueue', (s) => enqueue(s, 'k')],
    ['wait', (s) => waitForLock(s, 'k', 0)],
    ['release', (s) => release(s, 'k', 't')],
    ['sem_acquire', (s) => semAcquire(s, 'k', 0, 2)],
    ['sem_renew', (s) => semRenew(s, 'k', 't')],
    ['sem_enqueue', (s) => semEnqueue(s, 'k', 2)],
    ['sem_wait', (s) => semWaitForLock(s, 'k', 0)],
    ['sem_release', (s) => semRelease(s, 'k', 't')],
    ['signal', (s) => publish(s, 'c', 'p')],
  ];
  const REFUSALS = [
    'error',
    'error_max_locks',
    'error_draining',
    'error_auth',
    'error_not_leader 1.2.3.4:5',
    'okay',
    '',
  ];
  it.each(OPERATIONS)('a refusal of %s names it, and the reply in quotes', async (operation, call) => {
    for (const refusal of REFUSALS) {
      answer = `${refusal}\n`;
      const error = await call(sock).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(LockError);
      expect(error).not.toBeInstanceOf(AcquireTimeoutError);
      expect((error as LockError).name).toBe('LockError');
      expect((error as LockError).message).toContain(operation);
      expect((error as LockError).message).toContain(`'${refusal}'`);
    }
  });

  it('timeout is an AcquireTimeoutError that names the key', async () => {
    answer = 'timeout\n';
    for (const call of [OPERATIONS[0], OPERATIONS[3], OPERATIONS[5], OPERATIONS[8]]) {
      const error = (await call![1](sock).catch((reason: unknown) => reason)) as Error;
      expect(error).toBeInstanceOf(AcquireTimeoutError);
      expect(error.name).toBe('AcquireTimeoutError');
      expect(error.message).toContain('k');
    }
  });

  it.each(['ok\n', 'ok \n', 'acquired\n'])('%j has no token', async (reply) => {
    answer = reply;
    await expect(acquire(sock, 'k', 0)).rejects.toBeInstanceOf(LockError);
    await expect(enqueue(sock, 'k')).rejects.toBeInstanceOf(LockError);
  });

  it.each(['ok\n', 'ok x\n', 'ok 1.5\n', 'ok -1\n'])('%j has no count', async (reply) => {
    answer = reply;
    await expect(publish(sock, 'c', 'p')).rejects.toThrow(/number/);
  });
});

describe('what socket-level functions refuse before anything is written', () => {
  const world = useWorld();
  const BAD_NAMES = ['', 'a\0', 'a\n', 'a\r', 5 as never, undefined as never];
  const BAD_WAITS = [-1, 1.5, NaN, Infinity, '1' as never, undefined as never];
  const BAD_COUNTS = [0, -1, 1.5, NaN, Infinity, '1' as never, null as never];

  it('keys, channels, tokens, payloads, times, leases, limits', async () => {
    const server = await world.scripted();
    const s = world.own(await server.socket());
    const calls: (() => Promise<unknown>)[] = [];
    for (const bad of BAD_NAMES) {
      calls.push(
        ...[() => acquire(s, bad, 0), () => enqueue(s, bad), () => waitForLock(s, bad, 0), () => renew(s, bad, 't')],
        ...[() => release(s, bad, 't'), () => semAcquire(s, bad, 0, 1), () => semEnqueue(s, bad, 1)],
        ...[() => semWaitForLock(s, bad, 0), () => semRenew(s, bad, 't'), () => semRelease(s, bad, 't')],
        ...[() => renew(s, 'k', bad), () => release(s, 'k', bad), () => semRenew(s, 'k', bad)],
        ...[() => semRelease(s, 'k', bad), () => publish(s, bad, 'p'), () => publish(s, 'c', bad)],
      );
    }
    for (const bad of BAD_WAITS) {
      calls.push(
        ...[() => acquire(s, 'k', bad), () => waitForLock(s, 'k', bad)],
        ...[() => semAcquire(s, 'k', bad, 1), () => semWaitForLock(s, 'k', bad)],
      );
    }
    for (const bad of BAD_COUNTS) {
      calls.push(
        ...[() => acquire(s, 'k', 0, bad), () => enqueue(s, 'k', bad), () => renew(s, 'k', 't', bad)],
        ...[() => semAcquire(s, 'k', 0, bad), () => semAcquire(s, 'k', 0, 1, bad), () => semEnqueue(s, 'k', bad)],
        ...[() => semEnqueue(s, 'k', 1, bad), () => semRenew(s, 'k', 't', bad)],
      );
    }
    for (const call of calls) {
      const error = await call().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(LockError);
      expect((error as LockError).name).toBe('LockError');
    }
    s.end('the end');
    await until(() => server.peers[0]?.ended, 'the end');
    expect(server.received).toBe('the end');
  });

  it('but no spaces and no lengths', async () => {
    const server = await world.scripted(() => 'ok t 1\n');
    const key = ' a b\t'.repeat(100);
    await acquire(world.own(await server.socket()), key, 0);
    expect(server.received).toBe(`l\n${key}\n0\n`);
  });
});

describe('socket-level functions and hostile servers', () => {
  const world = useWorld();
  let server: ScriptedServer;
  let sock: Socket;
  beforeEach(async () => {
    server = await world.scripted();
    sock = world.own(await server.socket());
  });
  afterEach(() => expect(sock.listenerCount('data')).toBeLessThanOrEqual(1));

  it('replies split at each byte, inside a character too', async () => {
    const reply = Buffer.from('ok жетон🔒 5\r\n');
    server.script = (_lines, peer) => {
      void (async () => {
        for (const byte of reply) {
          peer.socket.write(Buffer.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
    };
    expect(await acquire(sock, 'k', 0)).toEqual({ token: 'жетон🔒', lease: 5 });
  });

  it('several replies in one chunk serve later calls', async () => {
    server.script = (_lines, peer) => (peer.requests.length === 1 ? 'ok t 5\nok 6\nok' : '\n');
    expect((await acquire(sock, 'k', 0)).lease).toBe(5);
    expect(await renew(sock, 'k', 't')).toBe(6);
    await release(sock, 'k', 't');
  });

  it('what comes between calls serves the next one', async () => {
    server.script = ([command]) => (command === 'l' ? 'ok t 5\n' : undefined);
    await acquire(sock, 'k', 0);
    server.peers[0]!.say('ok 9\n');
    await until(() => sock.bytesRead === 'ok t 5\nok 9\n'.length, 'the line');
    expect(await renew(sock, 'k', 't')).toBe(9);
  });

  it('what the caller reads itself between calls does not', async () => {
    server.script = ([command]) => (command === 'ping' ? 'ok\n' : `ok t 5\n`);
    await acquire(sock, 'k', 0);
    sock.write('ping\n_\n\n');
    const [chunk] = (await once(sock, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('ok\n');
    expect(await acquire(sock, 'k', 0)).toEqual({ token: 't', lease: 5 });
  });

  it('what is left unread is taken over by a SignalConnection', async () => {
    server.script = () => 'ok t 5\nsig a é\nsig b';
    await acquire(sock, 'k', 0);
    const signals = world.own(new SignalConnection(sock, 0));
    const iterator = signals[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toEqual({ channel: 'a', payload: 'é' });
    server.peers[0]!.say(' 2\n');
    expect((await inTime(iterator.next(), 'the rest')).value).toEqual({ channel: 'b', payload: '2' });
  });

  it.each([
    ['FIN', (server: ScriptedServer) => server.peers[0]!.socket.end()],
    ['FIN after half a line', (server: ScriptedServer) => server.peers[0]!.socket.end('ok t')],
    ['a close', (server: ScriptedServer) => server.peers[0]!.socket.destroy()],
  ])('%s', async (_name, cut) => {
    server.script = () => void cut(server);
    await expect(acquire(sock, 'k', 5)).rejects.toMatchObject({
      name: 'LockError',
      message: 'server closed connection',
    });
    await expect(acquire(sock, 'k', 5)).rejects.toMatchObject({
      name: 'LockError',
      message: 'server closed connection',
    });
  });

  it('a reset rejects with the error of the socket', async () => {
    server.script = (_lines, peer) => void peer.socket.resetAndDestroy();
    await expect(acquire(sock, 'k', 5)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('sockets that are destroyed or ended already', async () => {
    sock.end();
    await expect(acquire(sock, 'k', 0)).rejects.toThrow('server closed connection');
    sock.destroy();
    await expect(release(sock, 'k', 't')).rejects.toThrow('server closed connection');
  });

  it('a line without end', async () => {
    const piece = 'é'.repeat(64 * 1024);
    server.script = (_lines, peer) => void Array.from({ length: 16 }, () => peer.say(piece));
    const outcome = acquire(sock, 'k', 5).catch((error: unknown) => error);
    // A MiB of UTF-16 units is two of bytes here: still within the cap.
    await until(() => sock.bytesRead === 2 * 1024 * 1024, 'a MiB');
    server.peers[0]!.say('e');
    const error = (await inTime(outcome, 'the refusal')) as Error;
    expect(error).toBeInstanceOf(LockError);
    expect(error.message).toMatch(/too long/);
  });

  it('silence lasts as long as the caller lets it', async () => {
    const outcome = acquire(sock, 'k', 0).catch((error: Error) => error);
    await until(() => server.received !== '', 'the request');
    sock.destroy(new Error('enough'));
    expect(await inTime(outcome, 'the error')).toMatchObject({ message: 'enough' });
  });
});
