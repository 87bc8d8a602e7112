import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import {
  connectError,
  endedError,
  endsSession,
  hasNoRoom,
  sqlStateOf,
  statementError,
} from '../../../../../lib/backends/postgres/sessions/sql-errors.js';
import { serverError } from './scripted-client.js';

const nodeError = (code: string, message: string): Error => Object.assign(new Error(message), { code });

describe('an error of Postgres', () => {
  it.each<[Error, string, boolean, string]>([
    [serverError('42501', 'permission denied for table t'), 'ConfigError', false, 'denies a right: permission denied'],
    [
      serverError('57014', 'canceling statement due to user request'),
      'LockUnavailableError',
      true,
      'somebody cancelled',
    ],
    [serverError('55P03', 'canceling statement due to lock timeout'), 'LockUnavailableError', true, 'lock timeout'],
    [serverError('53200', 'out of shared memory'), 'LockUnavailableError', true, 'max_locks_per_transaction'],
    [serverError('42P01', 'relation "x" does not exist'), 'LockUnavailableError', true, 'relation "x"'],
    [serverError('54000', 'limit exceeded'), 'ProtocolError', false, 'limit exceeded'],
    [serverError('58P01', 'no such file'), 'LockUnavailableError', true, 'no such file'],
    [serverError('53400', 'limit'), 'LockUnavailableError', true, 'limit'],
    [serverError('40001', 'could not serialize'), 'LockUnavailableError', true, 'serialize'],
    [serverError('40P01', 'deadlock detected'), 'ProtocolError', false, 'deadlock'],
    [serverError('42883', 'function f() does not exist'), 'ProtocolError', false, 'answered: function f()'],
  ])('for a statement: %s', (error, name, isTransient, text) => {
    const typed = statementError(error, 'db:5432/app');
    expect(typed).toMatchObject({ name, isTransient, server: 'db:5432/app', message: expect.stringContaining(text) });
    expect(sqlStateOf(typed)).toBe(sqlStateOf(error));
  });

  it.each<[Error, string, string]>([
    [
      serverError('28P01', 'password authentication failed for user "x"'),
      'AuthError',
      'refused the role or its password',
    ],
    [serverError('28000', 'role "x" does not exist'), 'AuthError', 'role "x" does not exist'],
    [serverError('28000', 'no pg_hba.conf entry for host "h", no encryption'), 'AuthError', 'may demand TLS'],
    [new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'), 'AuthError', 'none was given'],
    [new TypeError('Password must be a string'), 'AuthError', 'none was given'],
    [serverError('XX000', 'Tenant or user not found'), 'AuthError', 'Tenant or user not found'],
    [serverError('08P01', 'no such user: x'), 'AuthError', 'no such user'],
    [serverError('3D000', 'database "x" does not exist'), 'ConfigError', 'database "x" does not exist'],
    [serverError('08P01', 'no such database: x'), 'ConfigError', 'no such database'],
    [serverError('08P01', 'database "nowhere" does not exist'), 'ConfigError', 'does not exist'],
    [serverError('3D000', 'Datenbank »x« existiert nicht'), 'ConfigError', 'existiert nicht'],
    [serverError('08P01', '"trust" authentication failed'), 'AuthError', 'authentication failed'],
    [new Error('unable to verify the first certificate'), 'ConfigError', 'failed in TLS'],
    [nodeError('UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'no'), 'ConfigError', 'failed in TLS'],
    [serverError('42501', 'permission denied for database "x"'), 'ConfigError', 'denies a right'],
    [serverError('42704', 'unrecognized configuration parameter "x"'), 'ConfigError', 'does not take the settings'],
    [serverError('42601', '-c x requires a value'), 'ConfigError', 'does not take the settings'],
    [new Error('The server does not support SSL connections'), 'ConfigError', 'sslmode=disable'],
    [
      nodeError('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain'),
      'ConfigError',
      'sslmode=no-verify',
    ],
    [
      nodeError('ERR_TLS_CERT_ALTNAME_INVALID', `Hostname/IP does not match certificate's altnames`),
      'ConfigError',
      'failed in TLS',
    ],
  ])('for a connection that is refused: %s', (error, name, text) => {
    const expected = { name, message: expect.stringContaining(text) };
    const first = connectError(error, { server: 'db:5432/app', wasAccepted: false });
    expect(first).toMatchObject({ ...expected, isTransient: false });
    expect(connectError(error, { server: 'db:5432/app', wasAccepted: true })).toMatchObject({
      ...expected,
      isTransient: true,
    });
  });

  it.each<[unknown, string]>([
    [nodeError('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:5432'), 'ECONNREFUSED'],
    [nodeError('ENOTFOUND', 'getaddrinfo ENOTFOUND db'), 'ENOTFOUND'],
    [Object.assign(new Error(''), { errors: [new Error('connect ECONNREFUSED ::1:5432')] }), '::1:5432'],
    [Object.assign(new Error(''), { code: 'ECONNRESET' }), 'ECONNRESET'],
    [new Error('Connection terminated unexpectedly'), 'terminated unexpectedly'],
    [serverError('57P03', 'the database system is starting up'), 'starting up'],
    [serverError('53300', 'sorry, too many clients already'), 'too many clients'],
    ['text', 'text'],
    [undefined, 'undefined'],
    [{ toString: () => 'hunter2' }, 'an object'],
  ])('for a connection that may be made later: %s', (error, text) => {
    const typed = connectError(error, { server: 'db:5432/app', wasAccepted: false });
    expect(typed).toMatchObject({
      name: 'LockUnavailableError',
      isTransient: true,
      message: expect.stringContaining(text),
    });
  });

  it('tells why a session has ended', () => {
    const said = (error: unknown): string => endedError(error, 'db:5432/app').message;
    expect(said(serverError('57P01', 'Verbindung wird abgebrochen'))).toContain('an administrator ended it');
    expect(said(serverError('57P05', 'x'))).toMatch(
      /silent for too long.* \(option postgresBackend\.sessionTimeoutMs\)$/,
    );
    expect(said(new Error('read ECONNRESET'))).toBe(
      'the session on Postgres at db:5432/app has ended: read ECONNRESET',
    );
    expect(said(serverError('57P02', 'x'))).toContain('crashed');
    expect(said(serverError('57P03', 'x'))).toContain('is not ready');
    expect(said(serverError('57P04', 'x'))).toContain('was dropped');
    expect(said(serverError('25P03', 'x'))).toContain('in a transaction');
    expect(said(serverError('25P04', 'x'))).toContain('transaction_timeout');
    expect(endedError(new Error('x'), 'db:5432/app').server).toBe('db:5432/app');
  });

  it('keeps what the server said as its cause, with the code', () => {
    const { cause } = endedError(serverError('57P01', 'terminating'), 'db') as { cause: Error & { code: string } };
    expect([cause.message, cause.code]).toEqual(['terminating', '57P01']);
    const plain = endedError(new Error('x'), 'db').cause as Error;
    expect([plain.message, Object.keys(plain)]).toEqual(['x', []]);
    expect((endedError({ code: 5 }, 'db').cause as Error).message).toBe('an object');
  });

  it('ends the session, or leaves it', () => {
    const ends = [
      undefined,
      '57P01',
      '57P02',
      '57P03',
      '57P04',
      '57P05',
      '25P03',
      '25P04',
      '08006',
      '53100',
      '58030',
      'XX000',
    ];
    expect(ends.filter((code) => !endsSession(code))).toEqual([]);
    expect(['57014', '55P03', '53200', '42501', '40P01', '53300', 'XX001', '10800'].filter(endsSession)).toEqual([]);
  });

  it('has the SQLSTATE of the server, not a code of Node', () => {
    expect(sqlStateOf(nodeError('EPIPE', 'write EPIPE'))).toBeUndefined();
    expect(sqlStateOf(new Error('x', { cause: serverError('53300') }))).toBe('53300');
    expect([sqlStateOf(undefined), sqlStateOf('53300')]).toEqual([undefined, undefined]);
    expect([hasNoRoom(serverError('53300')), hasNoRoom(serverError('53200'))]).toEqual([true, false]);
  });

  it('shows no password, wherever a library has put it', () => {
    const error = Object.assign(new Error('cannot parse postgres://locker:hunter2@db/app\nat all'), {
      input: 'postgres://locker:hunter2@db/app',
      config: { password: 'hunter2' },
      code: 'ERR_INVALID_URL',
    });
    for (const typed of [
      connectError(error, { server: 'db', wasAccepted: false }),
      endedError(error, 'db'),
      statementError(error, 'db'),
    ]) {
      expect(typed.message).toContain('postgres://***@db/app at all');
      expect(inspect(typed, { depth: 9, showHidden: true }) + JSON.stringify(typed)).not.toContain('hunter2');
    }
  });

  it('is cut where it is long', () => {
    const { message } = endedError(new Error(`${'x'.repeat(5000)}`), 'db');
    expect(message).toMatch(/: x{200}…$/);
    expect(endedError(new Error(` ${'x'.repeat(200)}\n\n`), 'db').message).toMatch(/: x{200}$/);
    expect(endedError(new Error('a\r\n\nb'), 'db').message).toMatch(/: a b$/);
  });
});
