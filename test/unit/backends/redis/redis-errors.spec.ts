import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import {
  degradation,
  isNoMaster,
  redirectionOf,
  replyCode,
  typedError,
  unavailable,
} from '../../../../lib/backends/redis/drivers/redis-errors.js';
import {
  AuthError,
  ConfigError,
  LockKeyError,
  LockUnavailableError,
  ProtocolError,
  ShuttingDownError,
} from '../../../../lib/common/errors.js';

const at = { server: 'db:6379' };

describe('what Redis and the client libraries say', () => {
  it.each([
    ['LOADING Redis is loading the dataset in memory', LockUnavailableError, true],
    ['BUSY Redis is busy running a script.', LockUnavailableError, true],
    ['CLUSTERDOWN Hash slot not served', LockUnavailableError, true],
    ['TRYAGAIN Multiple keys request during rehashing of slot', LockUnavailableError, true],
    ['MASTERDOWN Link with MASTER is down', LockUnavailableError, true],
    ['NOREPLICAS Not enough good replicas to write.', LockUnavailableError, true],
    ['MISCONF Redis is configured to save RDB snapshots', LockUnavailableError, true],
    ["OOM command not allowed when used memory > 'maxmemory'.", LockUnavailableError, true],
    ["READONLY You can't write against a read only replica.", LockUnavailableError, true],
    ['MOVED 3999 10.0.0.1:6381', LockUnavailableError, true],
    ['connect ECONNREFUSED 127.0.0.1:6379', LockUnavailableError, true],
    ['Socket closed unexpectedly', LockUnavailableError, true],
    ['WRONGPASS invalid username-password pair or user is disabled.', AuthError, false],
    ['NOAUTH Authentication required.', AuthError, false],
    ['ERR invalid password', AuthError, false],
    ['ERR AUTH <password> called without any password configured for the default user.', AuthError, false],
    ["NOPERM this user has no permissions to run the 'evalsha' command", ConfigError, false],
    ["ERR can't publish to the channel mentioned in the script", ConfigError, false],
    [
      "ERR The user executing the script can't run this command or subcommand script: e7a8, on @user_script:1.",
      ConfigError,
      false,
    ],
    ["ERR The user executing the script can't access at least one of the keys mentioned", ConfigError, false],
    ["ERR ACL failure in script: User app has no permissions to run the 'set' command", ConfigError, false],
    ['ERR DB index is out of range', ConfigError, false],
    ["ERR unknown command 'EVALSHA', with args beginning with: 'secret' ", ConfigError, false],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', LockKeyError, false],
    ["CROSSSLOT Keys in request don't hash to the same slot", ProtocolError, false],
    ['ERR Error running script', ProtocolError, false],
  ])('%s', (text, type, isTransient) => {
    const error = typedError(new Error(text), at);
    expect(error.constructor).toBe(type);
    expect(error).toMatchObject({ server: 'db:6379', isTransient });
    expect(replyCode(error)).toBe(/^[A-Z]+(?= )/.exec(text)?.[0]);
  });

  it.each([
    ['WRONGPASS invalid username-password pair', AuthError],
    ['NOPERM this user has no permissions', ConfigError],
    ['ERR DB index is out of range', ConfigError],
  ])('%s is transient for a connection once the server has accepted the client', (text, type) => {
    const error = typedError(new Error(text), { ...at, wasAccepted: true, isConnecting: true });
    expect(error).toBeInstanceOf(type);
    expect(error.isTransient).toBe(true);
    expect(typedError(new Error(text), { ...at, isConnecting: true }).isTransient).toBe(false);
    // Of a command: the right is missing, while who has been accepted may be so again.
    expect(typedError(new Error(text), { ...at, wasAccepted: true }).isTransient).toBe(type === AuthError);
  });

  it.each([
    'SELF_SIGNED_CERT_IN_CHAIN',
    'CERT_HAS_EXPIRED',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ])('a certificate that is refused is a mistake in the configuration: %s', (code) => {
    expect(typedError(Object.assign(new Error('self-signed'), { code }), at)).toBeInstanceOf(ConfigError);
  });

  it.each([
    ['connect ECONNREFUSED', 'Redis at db:6379 is not available: connect ECONNREFUSED'],
    ['WRONGPASS no', 'Redis at db:6379 refused user and password: WRONGPASS no'],
    ['WRONGTYPE x', 'the key holds something in Redis that is no lock'],
    ['ERR DB index is out of range', 'Redis at db:6379 does not take this client: ERR DB index is out of range'],
    ['NOPROTO unsupported protocol version', 'Redis at db:6379 does not take this client: NOPROTO unsupported'],
    ['ERR odd', 'Redis at db:6379 answered: ERR odd'],
    ['NOPERM x', 'Redis at db:6379 denies a right: NOPERM x; the user needs the commands of the page docs/redis.md'],
    ['ReplyError: ERR odd', 'answered: ERR odd'],
    // What stands in the middle of a text is not what it says.
    ['Could not: ReplyError: x', 'not available: Could not: ReplyError: x'],
    ['Could not: ERR invalid password', 'not available: Could not: ERR invalid password'],
    ['Could not: ERR DB index', 'not available: Could not: ERR DB index'],
    ['UNKILLABLE', 'Redis at db:6379 is not available: UNKILLABLE'],
    ['a\r\n\nb', 'not available: a b'],
  ])('%j is said as %j', (text, message) => {
    expect(typedError(new Error(text), at).message).toContain(message);
  });

  it('a reply of Redis is not taken for a refused certificate, whatever its code', () => {
    const error = Object.assign(new Error('LOADING'), { code: 'ERR_SSL_X' });
    expect(typedError(error, at)).toBeInstanceOf(LockUnavailableError);
    expect(typedError(Object.assign(new Error('down'), { code: 7 }), at)).toBeInstanceOf(LockUnavailableError);
    const tls = typedError(Object.assign(new Error('self-signed'), { code: 'CERT_HAS_EXPIRED' }), at);
    expect(tls.message).toBe('the connection to Redis at db:6379 failed in TLS: self-signed');
  });

  it('a typed error without a cause has no code, and one with it has that of the cause', () => {
    expect(replyCode(new LockUnavailableError('OOM is not what this says'))).toBeUndefined();
    expect(replyCode(typedError(new Error('OOM'), at))).toBe('OOM');
  });

  it('what is unavailable names its server', () => {
    expect(unavailable('db:1', 'no answer')).toMatchObject({
      server: 'db:1',
      message: 'Redis at db:1 is not available: no answer',
    });
    expect(unavailable('cluster', 'no node', '(cluster)').message).toBe('Redis (cluster) is not available: no node');
  });

  it('errors that are wrapped in each other without end are read to a depth', () => {
    const round: Error & { originalError?: unknown } = new Error('round');
    round.originalError = round;
    expect(typedError(round, at).message).toContain('round');
    let deep = new Error('level 6');
    for (let level = 5; level >= 0; level--) deep = Object.assign(new Error(`level ${level}`), { originalError: deep });
    expect(typedError(deep, at).message).toContain('level 5');
  });

  it('a cause has the frames of the error where it has any', () => {
    const silent = new Error('reset');
    delete silent.stack;
    expect((typedError(silent, at).cause as Error).stack).not.toContain('undefined');
    expect(String(typedError('a text', at))).toContain('a text');
    expect((typedError('a text', at).cause as Error).name).toBe('Error');
  });

  it('a text of 200 characters is not cut', () => {
    const text = 'x'.repeat(200);
    expect(typedError(new Error(text), at).message.endsWith(text)).toBe(true);
    expect(typedError(new Error(`${text}y`), at).message.endsWith(`${text}…`)).toBe(true);
  });

  it('a typed error stays as it is', () => {
    const error = new ShuttingDownError();
    expect(typedError(error, at)).toBe(error);
  });

  it('what was asked of the server, passwords among it, is in no error', () => {
    const said = Object.assign(new Error('WRONGPASS invalid'), {
      name: 'ReplyError',
      command: { name: 'auth', args: ['pa55'] },
    });
    for (const text of [
      'URL redis://user:pa55@db:1 refused',
      "ERR unknown command 'x', with args beginning with: 'pa55'",
    ]) {
      expect(inspect(typedError(new Error(text), at), { depth: 9, showHidden: true })).not.toContain('pa55');
    }
    const error = typedError(said, at);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('pa55');
    expect(JSON.stringify(error)).not.toContain('pa55');
    expect(error.cause).toMatchObject({ name: 'ReplyError', message: 'WRONGPASS invalid', code: 'WRONGPASS' });
    expect((error.cause as Error).stack).toContain('redis-errors.spec');
  });

  it('the innermost of wrapped errors is what counts', () => {
    const inner = new Error('WRONGPASS no');
    for (const outer of [
      new AggregateError([inner, new Error('other')], ''),
      Object.assign(new Error('Failed to refresh slots cache.'), { lastNodeError: inner }),
      Object.assign(new Error('strategy'), { originalError: new Error('no'), socketError: inner }),
    ]) {
      expect(typedError(outer, at)).toBeInstanceOf(AuthError);
    }
    const own = Object.assign(new Error(''), { code: 'ECONNRESET' });
    expect(String(typedError(own, at))).toContain('ECONNRESET');
    expect(String(typedError({ odd: true }, at))).toContain('an object');
  });

  it('a long text is cut, and stays in one line', () => {
    const { message } = typedError(new Error(`ERR a\nb ${'x'.repeat(500)}`), at);
    expect(message.length).toBeLessThan(300);
    expect(message).toContain('a b x');
  });

  it('tells a replica, a redirection and a server that refuses writes', () => {
    expect(isNoMaster(typedError(new Error('READONLY no'), at))).toBe(true);
    expect(isNoMaster(typedError(new Error('LOADING'), at))).toBe(false);
    expect(redirectionOf(typedError(new Error('MOVED 3999 ::1:6381'), at))).toEqual({
      isAsk: false,
      slot: 3999,
      host: '::1',
      port: 6381,
    });
    expect(redirectionOf(new Error('ASK 1 :7000'))).toEqual({ isAsk: true, slot: 1, host: '', port: 7000 });
    for (const text of ['MOVED nowhere', 'was MOVED 1 a:2', 'MOVED 1 a:2 b', 'MOVED x a:2']) {
      expect(redirectionOf(new Error(text))).toBeUndefined();
    }
    expect(['OOM x', 'MISCONF x', 'NOREPLICAS x'].map((text) => degradation(new Error(text)))).toEqual([
      expect.stringContaining('maxmemory'),
      expect.stringContaining('disk'),
      expect.stringContaining('min-replicas-to-write'),
    ]);
    expect(degradation(new Error('BUSY x'))).toBeUndefined();
  });
});
