import { inspect } from 'node:util';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { PgQueryConfig } from '../../../../../lib/backends/postgres/sessions/pg-client.js';
import { PgSession } from '../../../../../lib/backends/postgres/sessions/pg-session.js';
import type { Statement } from '../../../../../lib/backends/postgres/sessions/session.js';
import { ConfigError, LockUnavailableError, ShuttingDownError } from '../../../../../lib/common/errors.js';
import { FakeClock } from '../../../../support/fake-clock.js';
import { ScriptedClient, serverError } from './scripted-client.js';

const T = 10_000;
const GUARD = 200;

describe('a session of Postgres', () => {
  let clock: FakeClock;
  let client: ScriptedClient;
  let session: PgSession;
  let said: string[];

  beforeEach(() => {
    clock = new FakeClock({ now: 1000 });
    client = new ScriptedClient();
    session = new PgSession(client, 'command', 'db:5432/app', T, clock);
    said = [];
  });

  const statement = (text: string, more: Partial<Statement> = {}): Statement => ({
    name: '',
    text,
    values: [],
    sentAt: -Infinity,
    answered: (rows) => said.push(`${text}: ${JSON.stringify(rows)}`),
    failed: (error, sqlState) => said.push(`${text} failed: ${error.name} ${sqlState}`),
    ended: (error) => said.push(`${text} ended: ${error.name}`),
    ...more,
  });

  it('runs one statement after the other, in the order in which they were sent', () => {
    for (const text of ['a', 'b', 'c']) session.send(statement(text));
    expect(client.texts).toEqual(['a']);
    client.answer(['1']);
    expect(client.texts).toEqual(['a', 'b']);
    client.answer();
    client.answer();
    expect(client.texts).toEqual(['a', 'b', 'c']);
    expect(said).toEqual(['a: [["1"]]', 'b: []', 'c: []']);
  });

  it('does not let a statement that an answer asks for overtake those that wait', () => {
    session.send(statement('a', { answered: () => session.send(statement('late')) }));
    session.send(statement('b'));
    client.answer();
    client.answer();
    expect(client.texts).toEqual(['a', 'b', 'late']);
  });

  it('sends the next statement after an error only when pg is ready for it', () => {
    session.send(statement('a'));
    session.send(statement('b'));
    client.error('57014');
    session.send(statement('c'));
    expect(client.texts).toEqual(['a']);
    client.ready();
    expect(said).toEqual(['a failed: LockUnavailableError 57014']);
    expect(client.texts).toEqual(['a', 'b']);
    // pg says it after each statement that is not followed by another one.
    client.ready();
    expect(said).toHaveLength(1);
  });

  it('gives values as text, whatever parsers the application has set', () => {
    session.send(statement('a'));
    const query = client.sent[0] as PgQueryConfig;
    expect(query.rowMode).toBe('array');
    expect(query.types.getTypeParser(20, 'text')('9')).toBe('9');
  });

  describe('proves that it is alive', () => {
    it('by when an answered statement was sent, not by when the answer came', () => {
      session.send(statement('a'));
      clock.advance(900);
      client.answer();
      expect(session.provenAt).toBe(1000);
      expect(session.provenUntil()).toBe(1000 + T - GUARD);
    });

    it('by a statement that the server refused', () => {
      clock.advance(500);
      session.send(statement('a'));
      clock.advance(100);
      client.refuse('57014');
      expect(session.provenAt).toBe(1500);
    });

    it('by when it was sent also where the answer took long: it ends by then', () => {
      session.send(statement('a'));
      clock.advance(0.3 * T);
      client.answer();
      const ends: number[] = [];
      session.onEnd(() => ends.push(clock.now()));
      clock.advance(2 * T);
      expect(ends).toEqual([1000 + T - GUARD]);
    });

    it('by nothing before the first answer', () => {
      expect(session.provenUntil()).toBe(-Infinity);
      session.send(statement('a'));
      expect(session.provenUntil()).toBe(-Infinity);
    });

    it('by when a queued statement left, not by when it was queued', () => {
      session.send(statement('a'));
      const queued = statement('b');
      session.send(queued);
      clock.advance(300);
      client.answer();
      expect(queued.sentAt).toBe(1300);
      client.answer();
      expect(session.provenAt).toBe(1300);
    });

    it('no more once it has ended', () => {
      session.send(statement('a'));
      client.answer();
      session.end(new ShuttingDownError());
      expect(session.provenUntil()).toBe(-Infinity);
    });
  });

  describe('speaks', () => {
    it('when nothing was sent for a third of the session time, and not before', () => {
      clock.advance(T / 3 - 1);
      expect(client.texts).toEqual([]);
      clock.advance(1);
      expect(client.texts).toEqual(['select 1']);
      expect(session.isIdle).toBe(true);
      client.answer(['1']);
      expect(session.provenAt).toBe(1000 + T / 3);
    });

    it('not while others do', () => {
      for (let i = 0; i < 20; i++) {
        session.send(statement('a'));
        client.answer();
        clock.advance(T / 4);
      }
      expect(new Set(client.texts)).toEqual(new Set(['a']));
    });

    it('at most five times in each session time at rest, with one timer', () => {
      client.on('sent', () => queueMicrotask(() => client.answer()));
      return (async () => {
        for (let i = 0; i < 60; i++) {
          await clock.advanceAsync(T / 10);
          expect(clock.pendingTimers).toBe(1);
        }
        expect(client.sent.length).toBeGreaterThanOrEqual(17);
        expect(client.sent.length).toBeLessThanOrEqual(20);
      })();
    });

    it('not during a wait, which the server does not count as silence; soon after it', () => {
      session.send(statement('wait', { waits: true }));
      clock.advance(10 * T);
      expect(client.texts).toEqual(['wait']);
      expect(session.isEnded).toBe(false);
      client.answer();
      expect(session.provenUntil()).toBe(1000 + T - GUARD);
      clock.advance(T / 3);
      expect(client.texts).toEqual(['wait', 'select 1']);
      client.answer();
      expect(session.provenUntil()).toBeGreaterThan(clock.now());
    });
  });

  describe('ends', () => {
    it('when nothing is answered, at the time until which it was proven', () => {
      session.send(statement('a'));
      client.answer();
      const ends: number[] = [];
      session.onEnd(() => ends.push(clock.now()));
      clock.advance(2 * T);
      expect(ends).toEqual([1000 + T - GUARD]);
      expect(client.socket).toContain('destroy');
      session.send(statement('b', { ended: (error) => said.push(error.message) }));
      expect(said.at(-1)).toContain('no answer for 9800 ms (option postgresBackend.sessionTimeoutMs)');
    });

    it('not when a stalled process finds the answer waiting', () => {
      session.send(statement('a'));
      client.answer();
      clock.advance(T / 3);
      clock.stall(0.8 * T);
      clock.afterPoll(() => client.answer());
      clock.advance(0);
      expect(session.isEnded).toBe(false);
      expect(session.provenAt).toBe(1000 + T / 3);
    });

    it('when a stalled process finds nothing', () => {
      session.send(statement('a'));
      client.answer();
      clock.stall(T);
      clock.advance(0);
      expect(session.isEnded).toBe(true);
    });

    it('with a wait whose answer is never followed by another one', () => {
      session.send(statement('wait', { waits: true }));
      clock.advance(2 * T);
      client.answer();
      clock.advance(T);
      expect(session.isEnded).toBe(true);
    });

    it.each<[string, () => void, string]>([
      ['the server ends it while it is idle', () => client.emit('error', serverError('57P05')), 'was silent'],
      ['the connection is reset', () => client.emit('error', new Error('read ECONNRESET')), 'read ECONNRESET'],
      ['the connection is closed', () => client.emit('end'), 'was closed'],
    ])('in the same turn when %s', (_name, happen, text) => {
      session.onEnd((error) => said.push(error.message));
      happen();
      expect(said).toEqual([expect.stringContaining(text)]);
      client.emit('error', new Error('again'));
      client.emit('end');
      expect(said).toHaveLength(1);
    });

    it.each(['57P01', '57P02', '57P03', '57P05', '25P04', '08006', '53100', '58030', 'XX000'])(
      'when a statement fails with %s',
      (code) => {
        session.send(statement('a'));
        client.error(code);
        expect(said).toEqual(['a ended: LockUnavailableError']);
        expect(session.isEnded).toBe(true);
      },
    );

    it('with the statement that pg gives up when the connection breaks', () => {
      session.send(statement('a'));
      client.sent[0]!.callback(new Error('Connection terminated unexpectedly'), { rows: [] });
      expect(said).toEqual(['a ended: LockUnavailableError']);
    });

    it('telling owners first, then each statement once, whatever still arrives', () => {
      session.onEnd(() => said.push('owner'));
      const drop = session.onEnd(() => said.push('former owner'));
      drop();
      session.send(statement('a'));
      session.send(statement('b'));
      session.end(new ShuttingDownError());
      expect(said).toEqual(['owner', 'a ended: ShuttingDownError', 'b ended: ShuttingDownError']);
      client.answer(['1']);
      client.emit('drain');
      session.end(new ConfigError('again'));
      expect(said).toHaveLength(3);
      session.send(statement('c'));
      expect(said.at(-1)).toBe('c ended: ShuttingDownError');
      expect(client.texts).toEqual(['a']);
      clock.advance(T);
      expect(clock.pendingTimers).toBe(0);
    });

    it('telling owners before it closes the connection, with which the locks are free', () => {
      session.onEnd(() => said.push(String(client.socket.includes('destroySoon'))));
      session.end(new ShuttingDownError());
      expect(said).toEqual(['false']);
      expect(client.socket.slice(-2)).toEqual(['end', 'destroySoon']);
    });

    it('without a goodbye while a statement runs: it might stay behind it', () => {
      session.send(statement('wait', { waits: true }));
      session.end(new ShuttingDownError());
      expect(client.socket.at(-1)).toBe('destroy');
      expect(client.socket).not.toContain('end');
    });

    it('when pg refuses to send a statement', () => {
      client.error = () => undefined;
      client.query = () => {
        throw new Error('no');
      };
      session.send(statement('a'));
      expect(said).toEqual(['a ended: LockUnavailableError']);
    });
  });

  it('tells of a refusal only if the session lives on', () => {
    session.send(statement('a'));
    client.error('42501');
    client.emit('end');
    expect(said).toEqual(['a ended: LockUnavailableError']);
  });

  it('is idle when nothing but a heartbeat runs, and nothing is queued', () => {
    expect(session.isIdle).toBe(true);
    session.send(statement('a'));
    expect(session.isIdle).toBe(false);
    client.answer();
    expect(session.isIdle).toBe(true);
    clock.advance(T / 3);
    expect([client.isBusy, session.isIdle]).toEqual([true, true]);
    session.send(statement('b'));
    expect(session.isIdle).toBe(false);
  });

  it('ends once, also where an owner or a statement that is told of it ends it', () => {
    session.onEnd(() => session.end(new ConfigError('again')));
    session.send(statement('a', { answered: () => session.end(new ShuttingDownError()) }));
    session.send(statement('b'));
    client.answer();
    expect(said).toEqual(['b ended: ShuttingDownError']);
    expect(client.texts).toEqual(['a']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('does with a socket that can do no more than be destroyed', () => {
    const bare = new ScriptedClient();
    Object.assign(bare.connection, { stream: { destroy: () => said.push('destroyed') } });
    const other = new PgSession(bare, 'wait', 'db:5432/app', T, clock);
    other.hold(true);
    other.end(new ShuttingDownError());
    expect(said).toEqual(['destroyed']);
  });

  it('prints as what it is', () => {
    session.pid = 7;
    expect(inspect(session)).toMatch(/^Session \{ kind: 'command', server: 'db:5432\/app', pid: 7, isEnded: false \}$/);
  });

  it('hands notifications on', () => {
    session.onNotice((channel, payload) => said.push(`${channel} ${payload}`));
    client.notify({ channel: 'dfl1', payload: 'x' });
    client.notify({ channel: 'dfl2' });
    expect(said).toEqual(['dfl1 x', 'dfl2 ']);
  });

  it('keeps the process alive only while somebody waits for it', () => {
    session.hold(true);
    session.hold(false);
    expect(client.socket).toEqual(['unref', 'ref', 'unref']);
  });

  it('keeps the process alive until the last answer that somebody waits for', () => {
    session.send(statement('a'));
    session.send(statement('b'));
    client.answer();
    expect(client.socket).toEqual(['unref', 'ref']);
    client.error('42501');
    client.ready();
    expect(client.socket).toEqual(['unref', 'ref', 'unref']);
  });

  it('does not keep the process alive for a heartbeat, a wait that nobody waits for and what is asked at the start', () => {
    clock.advance(T / 3);
    client.answer();
    session.send(statement('wait', { waits: true }));
    client.answer();
    void session.ask('select 2');
    client.answer();
    expect(client.texts).toEqual(['select 1', 'wait', 'select 2']);
    expect(client.socket).toEqual(['unref']);
  });

  it('asks at the start, and rejects with the error of the statement', async () => {
    const asked = session.ask('select 2');
    client.answer(['2']);
    await expect(asked).resolves.toEqual([['2']]);
    const refused = session.ask('select 3');
    client.refuse('42501');
    await expect(refused).rejects.toBeInstanceOf(ConfigError);
    const ended = session.ask('select 4');
    client.emit('end');
    await expect(ended).rejects.toBeInstanceOf(LockUnavailableError);
  });

  it('shows nothing of its connection', () => {
    Object.assign(client, { password: 'hunter2' });
    expect(inspect(session, { depth: 9 }) + JSON.stringify(session)).not.toContain('hunter2');
    expect(inspect(session, { depth: 9, showHidden: true, customInspect: false })).not.toContain('hunter2');
  });
});
