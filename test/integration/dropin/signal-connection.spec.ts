import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { LockError, AuthError, type Signal, SignalConnection } from '../../../lib/entries/client.js';
import { inTime, until } from '../../support/until.js';
import type { ScriptedPeer, ScriptedServer } from './support/scripted-server.js';
import { newKey, PLACES, RUNNING_IS_OLD, useWorld, type Reach } from './support/world.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const places = PLACES.filter(([name]) => !RUNNING_IS_OLD || name !== process.env.DFLOCKD_TEST_ADDR);

describe.each(places)('SignalConnection: %s', (_name, place) => {
  const world = useWorld();
  let at: Reach;
  let root: string;
  const open = async (): Promise<SignalConnection> =>
    world.own(await SignalConnection.connect({ host: at.host, port: at.port, tls: at.tls, auth: at.auth }));

  beforeEach(async () => {
    at = await place(world);
    root = newKey();
  });

  it('listens and emits', async () => {
    const [listener, emitter] = [await open(), await open()];
    const got: Signal[] = [];
    const note = (signal: Signal): void => void got.push(signal);
    listener.onSignal(note);
    await listener.listen(`${root}.>`);
    expect(await emitter.emit(`${root}.a`, '{"x": 1}')).toBe(1);
    expect(await emitter.emit(`${root}.b.c`, ' ю ')).toBe(1);
    await until(() => got.length === 2, 'the signals');
    expect(got).toEqual([
      { channel: `${root}.a`, payload: '{"x": 1}' },
      { channel: `${root}.b.c`, payload: ' ю ' },
    ]);
    await listener.unlisten(`${root}.>`);
    expect(await emitter.emit(`${root}.a`, 'x')).toBe(0);
    listener.offSignal(note);
  });

  it('gives each signal to one member of a group', async () => {
    const members = [await open(), await open(), await open()];
    const emitter = await open();
    const got: number[] = [];
    for (const [i, member] of members.entries()) {
      member.onSignal(() => void got.push(i));
      await member.listen(`${root}.*`, 'workers');
    }
    for (let i = 0; i < 6; i++) expect(await emitter.emit(`${root}.job`, `${i}`)).toBe(1);
    await until(() => got.length === 6, 'the signals');
    expect([...got].sort()).toEqual([0, 0, 1, 1, 2, 2]);
    await members[0]!.unlisten(`${root}.*`, 'workers');
    for (let i = 0; i < 2; i++) await emitter.emit(`${root}.job`, `${i}`);
    await until(() => got.length === 8, 'the signals');
    expect([...got.slice(6)].sort()).toEqual([1, 2]);
  });

  it('hears its own signals; answers and pushes do not mix', async () => {
    const both = await open();
    const got: string[] = [];
    both.onSignal(({ payload }) => void got.push(payload));
    await both.listen(root);
    const counts = await Promise.all(Array.from({ length: 50 }, (_, i) => both.emit(root, `${i}`)));
    expect(counts).toEqual(Array(50).fill(1));
    await until(() => got.length === 50, 'the signals');
    expect(got).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`));
  });

  it('can be iterated', async () => {
    const [listener, emitter] = [await open(), await open()];
    await listener.listen(root);
    const early = listener[Symbol.asyncIterator]();
    await emitter.emit(root, '1');
    expect((await early.next()).value).toEqual({ channel: root, payload: '1' });
    const late = listener[Symbol.asyncIterator]();
    for (const payload of ['2', '3']) await emitter.emit(root, payload);
    expect((await late.next()).value).toEqual({ channel: root, payload: '2' });
    await early.next();
    // What has arrived can still be read when the connection closes.
    await until(async () => (await early.next()).value?.payload === '3', 'the third');
    listener.close();
    expect(await late.next()).toEqual({ value: { channel: root, payload: '3' }, done: false });
    expect((await late.next()).done).toBe(true);
    expect((await early.next()).done).toBe(true);
    for await (const signal of listener) throw new Error(`no signal can come: ${signal.payload}`);
  });

  it('refuses bad patterns as the server does', async () => {
    const connection = await open();
    await expect(connection.listen('a*')).rejects.toThrow(/listen.*'error'/);
    await expect(connection.unlisten('a*')).rejects.toThrow(/unlisten.*'error'/);
    await expect(connection.emit('a.*', 'x')).rejects.toThrow(/signal.*'error'/);
    expect(connection.isClosed).toBe(false);
  });
});

describe('SignalConnection and a scripted server', () => {
  const world = useWorld();
  let server: ScriptedServer;
  let peer: ScriptedPeer;
  let connection: SignalConnection;
  const open = async (heartbeatIntervalMs = 0): Promise<void> => {
    connection = world.own(await SignalConnection.connect({ port: server.port, heartbeatIntervalMs }));
    peer = await until(() => server.peers.at(-1), 'the peer');
  };

  beforeEach(async () => {
    server = await world.scripted();
    await open();
  });

  it('writes exactly what the protocol says', async () => {
    server.script = ([command]) => (command === 'signal' ? 'ok 2\n' : 'ok\n');
    await connection.listen('a.>');
    await connection.listen('a.>', 'g');
    await connection.emit('a.b', ' p ');
    await connection.unlisten('a.>', 'g');
    expect(server.received).toBe('listen\na.>\n\nlisten\na.>\ng\nsignal\na.b\n p \nunlisten\na.>\ng\n');
  });

  it('asks one thing at a time, in the order of the calls', async () => {
    const order: string[] = [];
    const calls = [connection.listen('a'), connection.emit('b', 'x'), connection.unlisten('a')];
    for (const [i, call] of calls.entries())
      call.then(
        () => order.push(`${i}`),
        () => order.push(`${i} failed`),
      );
    await until(() => server.received !== '', 'the first');
    await pause(10);
    expect(server.received).toBe('listen\na\n\n');
    peer.say('sig b early\nok\n');
    await until(() => peer.requests.length === 2, 'the second');
    expect(order).toEqual(['0']);
    peer.say('ok x\n');
    await until(() => peer.requests.length === 3, 'the third');
    peer.say('ok\n');
    await calls[2];
    expect(order).toEqual(['0', '1 failed', '2']);
  });

  it('refuses before anything is written', async () => {
    for (const bad of ['', 'a\0', 'a\n', 'a\r']) {
      await expect(connection.listen(bad)).rejects.toBeInstanceOf(LockError);
      await expect(connection.unlisten(bad)).rejects.toBeInstanceOf(LockError);
      await expect(connection.emit(bad, 'p')).rejects.toBeInstanceOf(LockError);
      await expect(connection.emit('c', bad)).rejects.toBeInstanceOf(LockError);
      if (bad !== '') await expect(connection.listen('a', bad)).rejects.toBeInstanceOf(LockError);
    }
    expect(server.received).toBe('');
  });

  it('reads pushes split at each byte, skips those without a payload, and survives listeners that throw', async () => {
    const got: Signal[] = [];
    connection.onSignal(() => {
      throw new Error('mine');
    });
    const rejects: () => unknown = () => Promise.reject(new Error('mine'));
    connection.onSignal(rejects);
    connection.onSignal((signal) => void got.push(signal));
    for (const byte of Buffer.from('sig кан🔒 п й \r\nsig nothing\nstray\nsig a \nsig a b\n')) {
      peer.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => got.length === 3, 'the signals');
    expect(got).toEqual([
      { channel: 'кан🔒', payload: 'п й ' },
      { channel: 'a', payload: '' },
      { channel: 'a', payload: 'b' },
    ]);
  });

  it.each<[string, () => unknown]>([
    ['close()', () => connection.close()],
    ['FIN', () => peer.socket.end()],
    ['a reset', () => peer.socket.resetAndDestroy()],
    ['a line without end', () => peer.say('x'.repeat(2 * 1024 * 1024 + 1))],
  ])('%s rejects what waits and what comes later', async (_name, end) => {
    const pending = [connection.listen('a'), connection.emit('b', 'x')].map((call) =>
      call.catch((error: unknown) => error),
    );
    const next = connection[Symbol.asyncIterator]().next();
    await until(() => server.received !== '', 'the request');
    expect(connection.isClosed).toBe(false);
    end();
    for (const error of await Promise.all(pending)) expect(error).toBeInstanceOf(LockError);
    expect(connection.isClosed).toBe(true);
    expect((await next).done).toBe(true);
    await expect(connection.emit('a', 'b')).rejects.toBeInstanceOf(LockError);
    connection.close();
    await until(() => peer.ended, 'the end');
  });

  it('two MiB less one are a line', async () => {
    const got: number[] = [];
    connection.onSignal(({ payload }) => void got.push(payload.length));
    peer.say(`sig a ${'x'.repeat(2 * 1024 * 1024 - 10)}\n`);
    await until(() => got.length === 1, 'the signal');
    expect(got).toEqual([2 * 1024 * 1024 - 10]);
  });

  it('says ping at intervals, one at a time; answers are ignored', async () => {
    await open(30);
    await until(() => peer.requests.length === 1, 'the first ping');
    await pause(80);
    expect(peer.received).toBe('ping\n_\n\n');
    peer.say('error\n');
    await until(() => peer.requests.length === 2, 'the second ping');
    const emitted = connection.emit('a', 'b');
    peer.say('ok\n');
    await until(() => peer.requests.length === 3, 'the signal');
    peer.say('ok 0\n');
    expect(await emitted).toBe(0);
  });

  it('pings every 15 s unless told otherwise, but not while a ping waits', async () => {
    const socket = world.own(connect(server.port, '127.0.0.1'));
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance', 'Date'] });
    try {
      const wrapped = world.own(new SignalConnection(socket));
      await once(socket, 'connect');
      jest.advanceTimersByTime(14_990);
      expect(socket.bytesWritten).toBe(0);
      jest.advanceTimersByTime(20);
      expect(socket.bytesWritten).toBeGreaterThan(0);
      jest.advanceTimersByTime(15_010);
      while (server.received === '') await turn();
      expect(server.received).toBe('ping\n_\n\n');
      wrapped.close();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it('0 is no heartbeat', async () => {
    await pause(50);
    expect(server.received).toBe('');
  });

  it('wraps a socket, alive or dead', async () => {
    const socket = connect(server.port, '127.0.0.1');
    const wrapped = world.own(new SignalConnection(socket));
    server.script = () => 'ok 4\n';
    expect(await inTime(wrapped.emit('a', 'b'), 'the count')).toBe(4);
    wrapped.close();
    const late = new SignalConnection(socket);
    expect(late.isClosed).toBe(true);
    await expect(late.listen('a')).rejects.toBeInstanceOf(LockError);
  });

  it('connect fails as the classes do', async () => {
    const { host, port } = await world.daemon({ authToken: 'right' });
    await expect(SignalConnection.connect({ host, port, auth: 'wrong' })).rejects.toBeInstanceOf(AuthError);
    await expect(SignalConnection.connect({ host, port, auth: 'a\n' })).rejects.toBeInstanceOf(LockError);
    const slow = { port: server.port, tls: {}, connectTimeoutMs: 30 };
    await expect(SignalConnection.connect(slow)).rejects.toThrow(/30 ms/);
  });
});
