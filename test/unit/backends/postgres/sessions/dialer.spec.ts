import { inspect } from 'node:util';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { Dialer } from '../../../../../lib/backends/postgres/sessions/dialer.js';
import { recogniseSource } from '../../../../../lib/backends/postgres/sessions/source.js';
import {
  ConfigError,
  type LockError,
  LockUnavailableError,
  PoolExhaustedError,
  ShuttingDownError,
} from '../../../../../lib/common/errors.js';
import { FakeClock, FakeEntropy, settlePromises } from '../../../../support/fake-clock.js';
import { serverError } from './scripted-client.js';
import { ScriptedServer } from './scripted-server.js';

/** Longer than attempts may take. */
const T = 60_000;

describe('a dialer of Postgres', () => {
  let clock: FakeClock;
  let server: ScriptedServer;
  let dialer: Dialer;

  beforeEach(() => {
    clock = new FakeClock({ now: 1000 });
    server = new ScriptedServer();
    dialer = newDialer();
  });

  const newDialer = (): Dialer =>
    new Dialer(
      recogniseSource(server.pool),
      { sessionTimeoutMs: T, connectTimeoutMs: 5000 },
      { clock, entropy: new FakeEntropy() },
    );

  const failure = (promise: Promise<unknown>): Promise<LockError> =>
    promise.then(
      () => Promise.reject(new Error('it did not fail')),
      (error: LockError) => error,
    );

  const startFails = async (): Promise<LockError> => {
    const error = await failure(dialer.start());
    expect(error.isTransient).toBe(error instanceof LockUnavailableError);
    if (server.clients.length > 0) expect(error.server).toBe('db:5432/app');
    expect(server.open).toEqual([]);
    expect(server.locked).toBe(0);
    expect(clock.pendingTimers).toBe(0);
    return error;
  };

  it('starts with two sessions, and keeps nothing locked', async () => {
    const { command, wait } = await dialer.start();
    expect([command.kind, command.pid, wait!.kind, wait!.pid]).toEqual(['command', 101, 'wait', 102]);
    expect(command.backendStart).toBe('2026-01-01 00:00:00.000001+00');
    expect(server.locked).toBe(0);
    expect(server.open).toHaveLength(2);
    expect(dialer.server).toBe('db:5432/app');
    expect(dialer.facts).toMatchObject({ version: '16.4', systemIdentifier: '700', timeline: 1, isPooled: false });
  });

  it('asks for settings in the startup message, after those of the user, and for no time-out of pg', async () => {
    await dialer.start();
    const [{ connectionParameters: command }, { connectionParameters: wait }] = server.clients as never as [
      { connectionParameters: Record<string, unknown> },
      { connectionParameters: Record<string, unknown> },
    ];
    expect(command['options']).toContain('-c idle_session_timeout=60000 -c statement_timeout=0 -c lock_timeout=1000');
    expect(wait['options']).toContain('-c lock_timeout=0 -c client_connection_check_interval=1000');
    expect([command['query_timeout'], command['statement_timeout']]).toEqual([0, 0]);
    expect(command['application_name']).toMatch(/^nestjs-dflockd:.*:\d+$/);
  });

  it('puts its settings after those of the configuration', async () => {
    server.userOptions = '-c geqo=off';
    await dialer.start();
    expect(server.clients[0]!.connectionParameters.options).toMatch(/^-c geqo=off -c idle_session_timeout=/);
  });

  it('starts with one session where there is no room for a second one', async () => {
    server.refuses = (_, count) => (count === 2 ? serverError('53300', 'too many connections') : undefined);
    const { command, wait } = await dialer.start();
    expect([command.kind, wait]).toEqual(['command', undefined]);
    expect(server.locked).toBe(0);
  });

  it('sends the settings no more where a pooler refuses them, and sets them later', async () => {
    server.isPooled = true;
    server.userOptions = '-c geqo=off';
    server.refuses = ({ connectionParameters: { options } }) =>
      String(options).includes('idle_session')
        ? serverError('08P01', 'unsupported startup parameter: options')
        : undefined;
    await dialer.start();
    await dialer.connect('wait');
    expect(server.connects).toBe(4);
    for (const client of server.clients.slice(1)) {
      expect(client.connectionParameters.options).toBe('-c geqo=off');
      expect(client.texts.filter((text) => text.startsWith('select set_config'))).toHaveLength(1);
    }
  });

  it('gives up where it is refused without settings too', async () => {
    server.refuses = () => serverError('08P01', 'unsupported startup parameter: options');
    expect(await startFails()).toBeInstanceOf(LockUnavailableError);
    expect(server.connects).toBe(2);
  });

  it('sets everything behind a pooler, which may have taken the settings for somebody else', async () => {
    server.isPooled = true;
    await dialer.start();
    expect(
      server.clients.map(({ texts }) => texts.filter((text) => text.startsWith('select set_config')).length),
    ).toEqual([1, 1]);
  });

  it('asks no more than it must of a later session', async () => {
    await dialer.start();
    await dialer.connect('wait');
    expect(server.clients[2]!.texts).toHaveLength(2);
  });

  it('leaves the second session of the check outside of a transaction', async () => {
    await dialer.start();
    const texts = server.clients[1]!.texts;
    expect(texts.filter((text) => /^(begin|rollback)$/.test(text))).toEqual(['begin', 'rollback']);
    server.answers = (text) => (text.includes('pg_try') ? serverError('XX001', 'broken') : undefined);
    await failure(dialer.start());
    expect(server.clients[3]!.texts.at(-1)).toBe('rollback');
  });

  describe('refuses', () => {
    it('a server that does not know idle_session_timeout', async () => {
      server.refuses = () => serverError('42704', 'unrecognized configuration parameter "idle_session_timeout"');
      const error = await startFails();
      expect([error.name, error.message]).toEqual(['ConfigError', expect.stringContaining('Postgres 14 or later')]);
      expect(server.connects).toBe(1);
    });

    it('an old server behind a pooler', async () => {
      server.refuses = (_, count) =>
        count === 1 ? serverError('08P01', 'unsupported startup parameter: options') : undefined;
      server.versionNumber = 130_012;
      server.version = '13.12';
      expect((await startFails()).message).toContain('is 13.12');
    });

    it('a server that does not understand the questions', async () => {
      server.answers = (text) =>
        text.includes('pg_is_in_recovery') ? serverError('42883', 'unknown function') : undefined;
      expect(await startFails()).toBeInstanceOf(ConfigError);
    });

    it.each<[string, (server: ScriptedServer) => void, string]>([
      [
        'CockroachDB',
        (it) => Object.assign(it, { isStub: true, fullVersion: 'CockroachDB CCL v24.1 (PostgreSQL 13.0 compatible)' }),
        'CockroachDB accepts advisory locks without doing anything',
      ],
      [
        'PGlite',
        (it) => Object.assign(it, { isShared: true, fullVersion: 'PostgreSQL 17.5 compiled by emcc (Emscripten)' }),
        'PGlite has one session for all connections; use embedded: true, without a backend',
      ],
      ['a server that grants every lock', (it) => (it.isStub = true), 'granted the same advisory lock'],
      ['something that shares one session', (it) => (it.isShared = true), 'shares one session'],
    ])('%s', async (_name, change, text) => {
      change(server);
      const error = await startFails();
      expect([error.name, error.message]).toEqual(['ConfigError', expect.stringContaining(text)]);
    });

    it('CockroachDB where there is room for one connection only', async () => {
      server.refuses = (_, count) => (count === 2 ? serverError('53300', 'too many connections') : undefined);
      server.showsNoLocks = true;
      expect((await startFails()).message).toContain('does not keep locks');
    });

    it('a pooler whose sessions change between two statements', async () => {
      server.isPooled = true;
      let asked = 0;
      server.answers = (text) => (text === 'select pg_backend_pid()' ? [[`${500 + asked++}`]] : undefined);
      const error = await startFails();
      expect([error.name, error.message]).toEqual(['ConfigError', expect.stringContaining('pool_mode=session')]);
    });

    it('a pooler that takes its two sessions in turn', async () => {
      server.isPooled = true;
      let asked = 0;
      server.answers = (text) => (text === 'select pg_backend_pid()' ? [[`${101 + (asked++ % 2)}`]] : undefined);
      expect((await startFails()).message).toContain('pool_mode=session');
    });

    it('a pooler that gives other sessions only now and then', async () => {
      server.isPooled = true;
      for (const late of [3, 7, 11, 15]) {
        let asked = 0;
        server.answers = (text, client) => {
          if (text !== 'select pg_backend_pid()') return undefined;
          if (asked++ === late) return [['5']];
          return [[`${101 + server.clients.indexOf(client)}`]];
        };
        expect((await startFails()).message).toContain('pool_mode=session');
      }
    });

    it('a pooler that hands the lock to another session only then', async () => {
      server.isPooled = true;
      let asked = 0;
      server.answers = (text) => (text.includes('pg_advisory_unlock') && asked++ === 0 ? [['f']] : undefined);
      expect((await startFails()).message).toContain('pool_mode=session');
    });

    it('a pooler that allows no transaction', async () => {
      server.isPooled = true;
      server.answers = (text) =>
        text === 'begin' ? serverError('08P01', 'transaction blocks not allowed in statement pooling mode') : undefined;
      expect((await startFails()).message).toContain('pool_mode=session');
    });

    it('a server whose settings do not stay', async () => {
      server.dropsOptions = true;
      server.keepsNothing = true;
      expect((await startFails()).message).toContain('does not keep the setting idle_session_timeout');
    });

    it.each(['42883', '0A000', '22P02'])('a server that answers the questions with %s', async (code) => {
      server.answers = (text) => (text.includes('pg_is_in_recovery') ? serverError(code, 'no') : undefined);
      expect((await startFails()).message).toContain('does not answer as Postgres does');
    });

    it('for a while a server that fails otherwise', async () => {
      server.answers = (text) => (text.includes('pg_is_in_recovery') ? serverError('53422', 'no') : undefined);
      expect(await startFails()).toBeInstanceOf(LockUnavailableError);
    });

    it('what the second connection is refused for', async () => {
      server.refuses = (_, count) => (count === 2 ? serverError('28P01', 'password authentication failed') : undefined);
      expect((await startFails()).name).toBe('AuthError');
    });

    it('what is not the pooler that it looks like', async () => {
      server.answers = (text) => (text === 'begin' ? serverError('53400', 'no transaction') : undefined);
      expect(await startFails()).toBeInstanceOf(LockUnavailableError);
      server.isPooled = true;
      server.answers = (text) => (text === 'begin' ? serverError('53400', 'no') : undefined);
      expect(await startFails()).toBeInstanceOf(LockUnavailableError);
    });

    it('a session that changes only on one side', async () => {
      server.isPooled = true;
      for (const side of [0, 1]) {
        const first = server.clients.length;
        server.answers = (text, client) =>
          text === 'select pg_backend_pid()' && client === server.clients[first + side] ? [['5']] : undefined;
        expect((await startFails()).message).toContain('Behind this pooler, lockInTransaction works');
      }
    });

    it('a setting that is refused with another error, or by a server that needs it', async () => {
      server.dropsOptions = true;
      for (const text of ['parameter "tcp_user_timeout" is broken', 'invalid value for parameter "lock_timeout"']) {
        let asked = 0;
        server.answers = (query) => {
          if (!query.startsWith('select set_config')) return undefined;
          return asked++ > 0 && text.includes('lock_timeout') ? [] : serverError('22023', text);
        };
        if (text.includes('lock_timeout')) expect((await startFails()).message).toContain('lock_timeout');
        else expect(await startFails()).toBeDefined();
      }
    });

    it('for a while a standby, and a name that leads to two servers', async () => {
      server.isStandby = true;
      expect(await startFails()).toMatchObject({
        name: 'LockUnavailableError',
        message: expect.stringContaining('standby'),
      });
      server.isStandby = false;
      let asked = 0;
      server.answers = (text) => (text.includes('pg_control_system') ? [[`${asked++}`, '1']] : undefined);
      expect(await startFails()).toMatchObject({
        name: 'LockUnavailableError',
        message: expect.stringContaining('different servers'),
      });
      server.answers = undefined;
      await dialer.start();
    });

    it('for a while a pooler with room for one connection only', async () => {
      server.isPooled = true;
      server.refuses = (_, count) => (count === 2 ? serverError('53300', 'too many connections') : undefined);
      expect(await startFails()).toBeInstanceOf(LockUnavailableError);
    });
  });

  it('sets what was lost on the way, and what a role has from 17 on', async () => {
    server.dropsOptions = true;
    server.versionNumber = 170_000;
    server.settings = { transaction_timeout: '300' };
    await dialer.start();
    for (const client of server.clients) {
      const set = client.sent.filter(({ text }) => text.startsWith('select set_config'));
      expect(set).toHaveLength(1);
      expect(set[0]!.values[0]).toEqual(expect.arrayContaining(['idle_session_timeout', 'jit', 'transaction_timeout']));
    }
  });

  it('sets transaction_timeout alone where nothing else is missing', async () => {
    server.versionNumber = 170_000;
    server.settings = { transaction_timeout: '300' };
    await dialer.start();
    const set = server.clients[0]!.sent.find(({ text }) => text.startsWith('select set_config'));
    expect(set!.values).toEqual([['transaction_timeout'], ['0']]);
  });

  it('sets nothing before it knows whose session it is', async () => {
    server.dropsOptions = true;
    await dialer.start();
    const texts = server.clients[0]!.texts.map((text) => text.trim().split(/[\s(]/).slice(0, 2).join(' '));
    expect(texts.indexOf('select set_config')).toBeGreaterThan(texts.indexOf('select pg_advisory_unlock'));
  });

  it.each(['in the startup message', 'later'])(
    'does without a setting that the platform lacks, asked for %s',
    async (when) => {
      const error = (): Error =>
        serverError('22023', 'invalid value for parameter "client_connection_check_interval": 1000');
      if (when === 'later') {
        server.dropsOptions = true;
        server.answers = (text, { sent }) =>
          text.startsWith('select set_config') &&
          (sent.at(-1)!.values[0] as string[]).some((name) => /^client_conn/.test(name))
            ? error()
            : undefined;
      } else {
        server.refuses = (client) =>
          String(client.connectionParameters.options).includes('client_connection_check') ? error() : undefined;
      }
      await dialer.start();
      const tries = server.connects;
      await dialer.connect('wait');
      expect(server.connects).toBe(tries + 1);
    },
  );

  it('gives up where a setting is refused that it needs', async () => {
    server.refuses = () => serverError('22023', 'invalid value for parameter "idle_session_timeout": 1');
    expect(await startFails()).toBeInstanceOf(ConfigError);
    expect(server.connects).toBe(1);
  });

  it('compares later sessions with the command session where a pooler is between', async () => {
    server.isPooled = true;
    const { command } = await dialer.start();
    expect(server.connects).toBe(2);
    await dialer.connect('wait');
    expect(server.connects).toBe(3);
    command.end(new LockUnavailableError('over'));
    await dialer.connect('command');
    // With one that is then closed.
    expect(server.connects).toBe(5);
    expect(server.open).toHaveLength(3);
    server.answers = (text) => (text === 'select pg_backend_pid()' ? [['1']] : undefined);
    const error = await failure(dialer.connect('wait'));
    // It has worked: somebody has changed the pooler, and may change it back.
    expect([error.name, error.isTransient]).toEqual(['ConfigError', true]);
    expect(server.open).toHaveLength(3);
  });

  it('says when the server is another one than before, and uses both at once never', async () => {
    const details: string[] = [];
    dialer.onDegraded((detail) => details.push(detail));
    const { command } = await dialer.start();
    await dialer.connect('wait');
    server.systemIdentifier = '701';
    const error = await failure(dialer.connect('wait'));
    expect([error.isTransient, error.message]).toEqual([true, expect.stringContaining('different servers')]);
    expect(details).toEqual([]);
    command.end(new LockUnavailableError('over'));
    await dialer.connect('command');
    expect(details).toEqual([expect.stringContaining('another cluster')]);
    await dialer.connect('wait');
    server.systemIdentifier = null;
    await dialer.connect('wait');
    server.systemIdentifier = '701';
    await dialer.connect('wait');
    expect(details).toHaveLength(1);
  });

  it('gives up where the session ends while it is asked for the identity of the server', async () => {
    server.answers = (text, client) => {
      if (!text.includes('pg_control_system')) return undefined;
      client.error('57P01');
      return 'silence';
    };
    expect(await startFails()).toMatchObject({ message: expect.stringContaining('an administrator ended it') });
  });

  it('takes what a version begins with for the version', async () => {
    server.version = '14.0 (Debian 14.0-1)';
    server.versionNumber = 140_000;
    await dialer.start();
    expect(dialer.facts).toMatchObject({ version: '14.0', versionNumber: 140_000 });
  });

  it('does without the identity of the server where the role may not ask for it', async () => {
    server.answers = (text) =>
      text.includes('pg_control_system') ? serverError('42501', 'permission denied') : undefined;
    await dialer.start();
    expect(dialer.facts).toMatchObject({ systemIdentifier: undefined, timeline: undefined });
    await dialer.connect('wait');
  });

  it('has an error of its own for a wait session without room', async () => {
    await dialer.start();
    server.refuses = () => serverError('53300', 'sorry, too many clients already');
    expect(await failure(dialer.connect('wait'))).toBeInstanceOf(PoolExhaustedError);
    expect(await failure(dialer.connect('command'))).toMatchObject({ name: 'LockUnavailableError', isTransient: true });
  });

  describe('gives up', () => {
    it.each<[string, () => void]>([
      ['the server does not accept', () => (server.refuses = () => undefined)],
      ['a question is not answered', () => (server.answers = () => 'silence')],
      [
        'the probe is not answered',
        () => (server.answers = (text) => (text.includes('try_advisory') ? 'silence' : undefined)),
      ],
    ])('in time when %s', async (name, change) => {
      change();
      if (name.includes('accept')) server.refuses = (client) => void (client.connected = undefined);
      const failed = failure(dialer.start());
      await clock.advanceAsync(9_999);
      expect(clock.pendingTimers).toBeGreaterThan(0);
      await clock.advanceAsync(1);
      expect(await failed).toMatchObject({
        name: 'LockUnavailableError',
        message: expect.stringContaining('no answer within 10000 ms'),
      });
      expect(server.open).toEqual([]);
      expect(clock.pendingTimers).toBe(0);
    });

    it('before it has begun, when it is closed', async () => {
      const failed = failure(dialer.start());
      dialer.close();
      expect(await failed).toBeInstanceOf(ShuttingDownError);
      expect(await failure(dialer.start())).toBeInstanceOf(ShuttingDownError);
      expect(server.clients).toEqual([]);
    });

    it('between two steps, when it is closed', async () => {
      for (let step = 0; step < 12; step++) {
        const other = newDialer();
        const first = server.clients.length;
        const failed = other.start().then(
          () => undefined,
          (error: LockError) => error,
        );
        let steps = 0;
        server.answers = () => void (steps++ === step && other.close());
        const error = await failed;
        if (error) expect([step, error.name]).toEqual([step, 'ShuttingDownError']);
        server.answers = undefined;
        if (error) expect(server.open.filter((client) => server.clients.indexOf(client) >= first)).toEqual([]);
      }
    });

    it('when it is closed, and makes nothing any more', async () => {
      const { command } = await dialer.start();
      server.answers = () => 'silence';
      const failed = failure(dialer.connect('wait'));
      await settlePromises();
      dialer.close();
      expect(await failed).toBeInstanceOf(ShuttingDownError);
      expect(await failure(dialer.connect('wait'))).toBeInstanceOf(ShuttingDownError);
      expect(command.isEnded).toBe(false);
      expect(server.open).toHaveLength(2);
    });

    it('when the server ends the session in between', async () => {
      server.answers = (_text, client) => {
        client.error('57P01', 'terminating connection');
        return 'silence';
      };
      expect(await startFails()).toMatchObject({
        name: 'LockUnavailableError',
        message: expect.stringContaining('administrator'),
      });
    });
  });

  it('keeps the process alive for its first start, and for a connection that a caller waits for', async () => {
    const kept: boolean[] = [];
    const { setTimer } = clock;
    clock.setTimer = (fn, delay, keepAlive = false) => {
      kept.push(keepAlive);
      return setTimer.call(clock, fn, delay, keepAlive);
    };
    server.isStandby = true;
    await startFails();
    expect(kept.filter(Boolean)).toHaveLength(1);
    server.isStandby = false;
    await dialer.start();
    await dialer.connect('command');
    expect(kept.filter(Boolean)).toHaveLength(1);
    await dialer.connect('command', true);
    expect(kept.filter(Boolean)).toHaveLength(2);
    for (const client of server.clients) expect(client.socket.filter((what) => /ref/.test(what)).at(-1)).toBe('unref');
  });

  it('shows nothing of the source', async () => {
    await dialer.start();
    const { pool } = server;
    const [shown, hidden] = [{ depth: 9 }, { depth: 9, showHidden: true, customInspect: false }];
    for (const options of [shown, hidden]) expect(inspect(dialer, options)).not.toContain(pool.options.password);
    expect(JSON.stringify(dialer)).toBe('{"server":"db:5432/app"}');
  });
});
