import { execFileSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { AuthError, ConfigError, LockUnavailableError, ShuttingDownError } from '../../../../lib/common/errors.js';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { RedisServer } from '../../../support/redis/server.js';
import { inTime, until } from '../../../support/until.js';
import { APPEND, APPEND_TOO, closeAll, driverOf, ECHO, Listener, scriptOf, TRIED } from './support.js';

/** Prints what the server has at the key `left`. */
const GET_LEFT = `
  const socket = require('node:net').connect(process.argv[1], '127.0.0.1', () =>
    socket.write('AUTH hunter2\\r\\nGET left\\r\\n'),
  );
  let text = '';
  socket.on('data', (chunk) => {
    const value = /^\\+OK\\r\\n\\$\\d+\\r\\n(.*)\\r\\n/.exec((text += chunk));
    if (value) socket.end(() => process.stdout.write(value[1]));
  });
`;
const NO_EVAL = '~* &* +@all -eval -evalsha';

describeRedis('drivers: one server', () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await RedisServer.start({ password: 'hunter2', users: { poor: `on >hunter2 ${NO_EVAL}` } });
  });
  afterEach(closeAll);
  afterAll(() => server.stop());

  const connections = async (): Promise<string[]> =>
    ((await server.command('CLIENT', 'LIST')) as string)
      .split('\n')
      .filter((line) => line.includes('name=nestjs-dflockd'));

  for (const library of TRIED) {
    const client = (options: object = {}): object => library.client(server, { password: 'hunter2', ...options });

    it(`${library.name}: scripts, messages, two connections, and none after the close`, async () => {
      await server.command('SCRIPT', 'FLUSH');
      const users = client();
      const driver = driverOf(users);
      const listener = new Listener();
      await driver.open(listener);
      expect(listener.events).toEqual(['up']);
      expect(driver.server).toBe(server.address);
      expect(await driver.eval(ECHO, ['key'], ['ä'])).toEqual(['key', 'ä', 7]);
      expect(await driver.eval(ECHO, ['key'], ['again'])).toEqual(['key', 'again', 7]);
      await driver.subscribe('dfl:a');
      await driver.command(undefined, ['PUBLISH', 'dfl:a', 'hello']);
      await until(() => listener.count('dfl:a: hello') === 1);
      expect(listener.count('subscribed dfl:a')).toBe(1);
      expect(await connections()).toHaveLength(2);
      expect((users as { isOpen?: boolean; status?: string }).isOpen ?? (users as { status: string }).status).toEqual(
        library.name.startsWith('io') ? 'wait' : false,
      );
      await driver.close();
      await until(async () => (await connections()).length === 0);
      await expect(driver.eval(ECHO, ['key'], ['late'])).rejects.toThrow(ShuttingDownError);
    });

    it(`${library.name}: knows whether a call leaves before the turn in which it is made is over`, async () => {
      await server.command('DEL', 'left');
      const driver = driverOf(client());
      await driver.open(new Listener());
      // From then on, a call is made as soon as it is asked for.
      await driver.eval(APPEND, ['left'], ['1']);
      const call = driver.eval(APPEND, ['left'], ['2']);
      // This process stands still meanwhile.
      const value = execFileSync(process.execPath, ['-e', GET_LEFT, String(server.port)], { encoding: 'utf8' });
      expect(value).toBe(driver.writesAtOnce ? '12' : '1');
      await call;
    });

    it(`${library.name}: a script that the server does not know yet is not overtaken by what is asked after it`, async () => {
      const driver = driverOf(client());
      const listener = new Listener();
      await driver.open(listener);
      for (const key of ['first', 'second']) {
        await server.command('SCRIPT', 'FLUSH');
        await server.command('SCRIPT', 'LOAD', APPEND_TOO.source);
        await Promise.all([driver.eval(APPEND, [key], ['1']), driver.eval(APPEND_TOO, [key], ['2'])]);
        await driver.eval(APPEND, [key], ['3']);
        expect(await server.command('GET', key)).toBe('123');
        await server.command('DEL', key);
        const ups = listener.count('up');
        await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        await until(() => listener.count('up') > ups);
      }
      // Forgotten on a connection that lasts.
      await driver.eval(APPEND, ['third'], ['1']);
      await server.command('SCRIPT', 'FLUSH');
      await driver.eval(APPEND, ['third'], ['2']);
      await Promise.all([driver.eval(APPEND_TOO, ['third'], ['3']), driver.eval(APPEND, ['third'], ['4'])]);
      expect(await server.command('GET', 'third')).toBe('1234');
      await server.command('DEL', 'third');
    });

    it(`${library.name}: a second error of a socket is no uncaught exception`, async () => {
      const sockets: Socket[] = [];
      const made = (message: unknown): unknown => sockets.push((message as { socket: Socket }).socket);
      subscribe('net.client.socket', made);
      const driver = driverOf(client());
      await driver.open(new Listener());
      unsubscribe('net.client.socket', made);
      expect(sockets.length).toBeGreaterThanOrEqual(2);
      for (const socket of sockets) {
        socket.emit('error', new Error('first'));
        expect(() => socket.emit('error', new Error('second'))).not.toThrow();
        // As after a real one.
        socket.destroy();
      }
      await driver.close();
      await until(async () => (await connections()).length === 0);
    });

    it(`${library.name}: options of the user's client change nothing`, async () => {
      const driver = driverOf(
        client({
          keyPrefix: 'app:',
          stringNumbers: true,
          enableAutoPipelining: true,
          replyMapping: 'resp3',
          protocol: 3,
          enableOfflineQueue: false,
          disableOfflineQueue: true,
          RESP: library.name === 'redis 4' ? 2 : 3,
          commandOptions: { typeMapping: { 58: String } },
          db: 3,
          database: 3,
        }),
      );
      await driver.open(new Listener());
      expect(await driver.eval(ECHO, ['key'], ['x'])).toEqual(['key', 'x', 7]);
      if (!/redis [45]/.test(library.name)) expect(driver.keyPrefix).toBe('app:');
      await driver.command('key', ['SET', 'key', '1', 'PX', '10000']);
      await server.command('SELECT', 3);
      expect(await server.command('GET', 'key')).toBe('1');
      await server.command('DEL', 'key');
      await server.command('SELECT', 0);
    });

    it(`${library.name}: a wrong password fails the start, and is named nowhere`, async () => {
      const driver = driverOf(library.client(server, { password: 'secret-1' }));
      const error = await inTime(driver.open(new Listener()), 'the refusal', 5_000).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(AuthError);
      expect(error).toMatchObject({ isTransient: false, server: server.address });
      expect(`${(await import('node:util')).inspect(error, { depth: 9, showHidden: true })}`).not.toContain('secret-1');
      expect(await connections()).toHaveLength(0);
      // It does not go on trying.
      await expect(driver.eval(ECHO, ['key'], [])).rejects.toThrow(ShuttingDownError);
    });

    it(`${library.name}: a missing right is a ConfigError that names it`, async () => {
      const driver = driverOf(library.client(server, { username: 'poor', password: 'hunter2' }));
      await driver.open(new Listener());
      const error = await driver.eval(ECHO, ['key'], []).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ isTransient: false });
      expect(String(error)).toMatch(/'eval' command/);
    });

    it(`${library.name}: what is in flight when connections are killed settles, and all works again`, async () => {
      const driver = driverOf(client(), { minDelayMs: 5 });
      const listener = new Listener();
      await driver.open(listener);
      await driver.subscribe('dfl:a');
      const busy = scriptOf(`local t = redis.call('TIME')[1] + 0; return ARGV[1]`);
      await server.command('CLIENT', 'PAUSE', 200, 'ALL').catch(() => undefined);
      const calls = Array.from({ length: 20 }, (_, i) => driver.eval(busy, ['key'], [`${i}`]));
      const killer = await server.connect();
      const settled = Promise.allSettled(calls);
      await killer.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await killer.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      killer.close();
      const outcomes = await inTime(settled, 'the outcomes', 5_000);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(LockUnavailableError);
      }
      await until(() => listener.count('up') === 2);
      expect(listener.count('down')).toBe(1);
      expect(listener.count('subscribed dfl:a')).toBe(2);
      await driver.command(undefined, ['PUBLISH', 'dfl:a', 'again']);
      await until(() => listener.count('dfl:a: again') === 1);
      expect(await connections()).toHaveLength(2);
    });

    it(`${library.name}: a silent server has its connections dropped, and is used again when it speaks`, async () => {
      const driver = driverOf(client(), { requestTimeoutMs: 150 });
      const listener = new Listener();
      await driver.open(listener);
      server.pause();
      try {
        const call = driver.eval(ECHO, ['key'], ['x']);
        await expect(inTime(call, 'the timeout', 3_000)).rejects.toThrow(/no answer for 150 ms/);
        await expect(driver.eval(ECHO, ['key'], ['x'])).rejects.toThrow(LockUnavailableError);
      } finally {
        server.resume();
      }
      await until(() => listener.count('up') === 2);
      expect(await driver.eval(ECHO, ['key'], ['x'])).toEqual(['key', 'x', 7]);
    });

    it(`${library.name}: keys that are watched tell who changed them`, async () => {
      const driver = driverOf(client(), { watch: true });
      const listener = new Listener();
      await driver.open(listener);
      // Asks whether the server can do it.
      expect(await driver.watch([])).toBe(0);
      await server.command('MSET', 'lock:a', 1, 'lock:b', 2);
      expect(await driver.watch(['lock:a', 'lock:b', 'lock:none'])).toBe(2);
      listener.changed.length = 0;
      await driver.command('lock:a', ['PEXPIRE', 'lock:a', '60000']);
      await server.command('DEL', 'lock:b');
      await until(() => listener.changed.length === 1);
      expect(listener.changed).toEqual([['lock:b']]);
      expect(await driver.watch(['lock:a'])).toBe(1);
      await server.command('FLUSHALL');
      await until(() => listener.changed.includes(undefined));
      // The tracking belongs to a connection.
      await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await until(() => listener.count('up') === 2);
      await server.command('SET', 'lock:a', 1);
      expect(await driver.watch(['lock:a'])).toBe(1);
      listener.changed.length = 0;
      await server.command('DEL', 'lock:a');
      await until(() => listener.changed.length === 1);
      expect(listener.changed).toEqual([['lock:a']]);
    });
  }
});
