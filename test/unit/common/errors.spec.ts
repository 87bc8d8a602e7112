import { describe, expect, it } from '@jest/globals';
import * as errors from '../../../lib/common/errors.js';

type Make = (details?: errors.LockErrorDetails) => errors.LockError;

const every: [string, string, Make][] = [
  ['LockError', 'LOCK_ERROR', (d) => new errors.LockError('text', d)],
  ['AcquireTimeoutError', 'ACQUIRE_TIMEOUT', (d) => new errors.AcquireTimeoutError('k', d)],
  ['AuthError', 'AUTH', (d) => new errors.AuthError(d)],
  ['LockLostError', 'LOCK_LOST', (d) => new errors.LockLostError('k', 'expired', d)],
  ['LockUnavailableError', 'UNAVAILABLE', (d) => new errors.LockUnavailableError('text', d)],
  ['PoolExhaustedError', 'POOL_EXHAUSTED', (d) => new errors.PoolExhaustedError('text', d)],
  ['MaxLocksError', 'MAX_LOCKS', (d) => new errors.MaxLocksError(d)],
  ['MaxWaitersError', 'MAX_WAITERS', (d) => new errors.MaxWaitersError(d)],
  ['LimitMismatchError', 'LIMIT_MISMATCH', (d) => new errors.LimitMismatchError(d)],
  ['NotEnqueuedError', 'NOT_ENQUEUED', (d) => new errors.NotEnqueuedError(d)],
  ['AlreadyEnqueuedError', 'ALREADY_ENQUEUED', (d) => new errors.AlreadyEnqueuedError(d)],
  ['LeaseExpiredError', 'LEASE_EXPIRED', (d) => new errors.LeaseExpiredError(d)],
  ['ServerDrainingError', 'DRAINING', (d) => new errors.ServerDrainingError(d)],
  ['NotLeaderError', 'NOT_LEADER', (d) => new errors.NotLeaderError('host:1', d)],
  ['NestedLockError', 'NESTED', (d) => new errors.NestedLockError('k', d)],
  ['ShuttingDownError', 'SHUTTING_DOWN', (d) => new errors.ShuttingDownError(d)],
  ['UnsupportedError', 'UNSUPPORTED', (d) => new errors.UnsupportedError('text', d)],
  ['ConfigError', 'CONFIG', (d) => new errors.ConfigError('text', d)],
  ['LockKeyError', 'KEY', (d) => new errors.LockKeyError('text', d)],
  ['ProtocolError', 'PROTOCOL', (d) => new errors.ProtocolError('text', d)],
  ['BackendError', 'BACKEND', (d) => new errors.BackendError('text', d)],
];

describe('errors', () => {
  it.each(every)('%s has the code %s, its name, and what is known of the circumstances', (name, code, make) => {
    const cause = new Error('below');
    const error = make({ key: 'k', server: 'host:1', cause });
    expect(error).toBeInstanceOf(errors.LockError);
    expect(error).toMatchObject({ name, code, key: 'k', server: 'host:1', cause });
    expect(error.message).not.toBe('');
    expect(error.stack).toContain('errors.spec');
  });

  it.each(every)('%s takes an undefined detail for one that is not known', (_, code, make) => {
    const error = make({ code: undefined, key: undefined, server: undefined, cause: undefined });
    expect(error.code).toBe(code);
    expect({ ...error }).toEqual({ ...make() });
    expect(Object.keys(error)).toEqual(Object.keys(make()));
  });

  it('are all listed here, each with a code of its own', () => {
    expect(every.map(([name]) => name).sort()).toEqual(Object.keys(errors).sort());
    expect(new Set(every.map(([, code]) => code)).size).toBe(every.length);
  });

  it('are transient where another attempt may succeed, by their class', () => {
    const transient = every.filter(([, , make]) => make().isTransient).map(([name]) => name);
    expect(transient).toEqual([
      'LockUnavailableError',
      'PoolExhaustedError',
      'MaxLocksError',
      'MaxWaitersError',
      'LeaseExpiredError',
      'ServerDrainingError',
      'NotLeaderError',
      'ProtocolError',
    ]);
  });

  it('of a refusal are transient once the server has accepted the client', () => {
    const refused = new errors.AuthError({ isTransient: true });
    expect([refused.isTransient, new errors.AuthError().isTransient]).toEqual([true, false]);
    expect(JSON.stringify(refused)).not.toContain('isTransient');
    expect(Object.keys(refused)).toEqual(Object.keys(new errors.AuthError()));
  });

  it('leave out what is not known', () => {
    const error = new errors.AuthError();
    expect('key' in error || 'server' in error || 'cause' in error).toBe(false);
  });

  it('take a code that says more', () => {
    expect(new errors.LockUnavailableError('text', { code: 'PORT_IN_USE' }).code).toBe('PORT_IN_USE');
  });

  it('name the reason of a loss and the leader of a cluster', () => {
    expect(new errors.LockLostError('k', 'draining')).toMatchObject({ reason: 'draining', key: 'k' });
    expect(new errors.NotLeaderError('host:1').leader).toBe('host:1');
    expect('leader' in new errors.NotLeaderError()).toBe(false);
  });
});
