import { describe, expect, it } from '@jest/globals';
import { LockError } from '../../../lib/common/errors.js';
import type { PlainStatus } from '../../../lib/protocol/messages.js';
import { errorOfStatus, STATUS_BY_WORD, STATUS_WORDS } from '../../../lib/protocol/status.js';

describe('status words (spec 3.1)', () => {
  it('are those of the specification', () => {
    expect(Object.values(STATUS_WORDS).sort()).toEqual(
      [
        ...['ok', 'queued', 'timeout', 'error', 'error_auth', 'error_max_locks', 'error_max_waiters'],
        ...['error_limit_mismatch', 'error_not_enqueued', 'error_already_enqueued', 'error_lease_expired'],
        'error_draining',
      ].sort(),
    );
  });

  it('lead back to their status', () => {
    for (const [status, word] of Object.entries(STATUS_WORDS)) expect(STATUS_BY_WORD.get(word)).toBe(status);
    expect(STATUS_BY_WORD.size).toBe(Object.keys(STATUS_WORDS).length);
  });

  it.each([
    ['auth', 'AuthError'],
    ['max_locks', 'MaxLocksError'],
    ['max_waiters', 'MaxWaitersError'],
    ['limit_mismatch', 'LimitMismatchError'],
    ['not_enqueued', 'NotEnqueuedError'],
    ['already_enqueued', 'AlreadyEnqueuedError'],
    ['lease_expired', 'LeaseExpiredError'],
    ['draining', 'ServerDrainingError'],
    ['error', 'ProtocolError'],
  ] as [PlainStatus, string][])('%s becomes a %s', (status, name) => {
    const error = errorOfStatus(status, 'renew', { key: 'k', server: 'host:1' });
    expect(error).toBeInstanceOf(LockError);
    expect(error).toMatchObject({ name, key: 'k', server: 'host:1' });
  });

  it('say what was asked where the answer says nothing', () => {
    expect(errorOfStatus('error', 'renew').message).toBe('renew: the server answered "error"');
  });
});
