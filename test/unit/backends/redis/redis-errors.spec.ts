import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import {
  degradation,
  isNoMaster,
  redirectionOf,
  replyCode,
  typedError,
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
    expect(redirectionOf(new Error('MOVED nowhere'))).toBeUndefined();
    expect(['OOM x', 'MISCONF x', 'NOREPLICAS x'].map((text) => degradation(new Error(text)))).toEqual([
      expect.stringContaining('maxmemory'),
      expect.stringContaining('disk'),
      expect.stringContaining('min-replicas-to-write'),
    ]);
    expect(degradation(new Error('BUSY x'))).toBeUndefined();
  });
});
