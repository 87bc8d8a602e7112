import { describe, expect, it } from '@jest/globals';
import * as errors from '../../../lib/common/errors.js';
import type { Reply } from '../../../lib/protocol/messages.js';
import { replyError } from '../../../lib/protocol/reply-error.js';

const grant = { token: 't', leaseMs: 1 };

describe('a reply that is not what was asked for', () => {
  it.each<[Reply, new (...args: any[]) => errors.LockError]>([
    [{ s: 'granted', ...grant }, errors.ProtocolError],
    [{ s: 'acquired', ...grant }, errors.ProtocolError],
    [{ s: 'renewed', leaseMs: 1 }, errors.ProtocolError],
    [{ s: 'delivered', count: 1 }, errors.ProtocolError],
    [{ s: 'stats', json: '{}' }, errors.ProtocolError],
    [{ s: 'ok' }, errors.ProtocolError],
    [{ s: 'queued' }, errors.ProtocolError],
    [{ s: 'timeout' }, errors.ProtocolError],
    [{ s: 'error' }, errors.ProtocolError],
    [{ s: 'auth' }, errors.AuthError],
    [{ s: 'max_locks' }, errors.MaxLocksError],
    [{ s: 'max_waiters' }, errors.MaxWaitersError],
    [{ s: 'limit_mismatch' }, errors.LimitMismatchError],
    [{ s: 'not_enqueued' }, errors.NotEnqueuedError],
    [{ s: 'already_enqueued' }, errors.AlreadyEnqueuedError],
    [{ s: 'lease_expired' }, errors.LeaseExpiredError],
    [{ s: 'draining' }, errors.ServerDrainingError],
    [{ s: 'not_leader', leader: 'host:1' }, errors.NotLeaderError],
    [{ s: 'not_leader', leader: '' }, errors.NotLeaderError],
  ])('%j is an error that names operation, server and key', (reply, type) => {
    const error = replyError(reply, 'renew', Buffer.from('schlüssel').toString('latin1'), 'host:6388');
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ server: 'host:6388', key: 'schlüssel' });
    if (type === errors.ProtocolError) expect(error.message).toMatch(/^renew: .*"/);
    expect(replyError(reply, 'stats', undefined, 'host:6388').key).toBeUndefined();
  });

  it.each<Reply>([
    { s: 'granted', ...grant },
    { s: 'acquired', ...grant },
    { s: 'renewed', leaseMs: 1 },
    { s: 'delivered', count: 1 },
    { s: 'stats', json: '{}' },
  ])('%j is unexpected where something else was asked for', (reply) => {
    const { message } = replyError(reply, 'release', 'key', 'host:6388');
    expect(message).toBe(`release: unexpected reply "${reply.s}"`);
  });

  it('of a follower names the leader, if it knows one', () => {
    const leaderOf = (leader: string) =>
      (replyError({ s: 'not_leader', leader }, 'acquire', 'key', 'host:6388') as errors.NotLeaderError).leader;
    expect(leaderOf('host:1')).toBe('host:1');
    expect(leaderOf('')).toBeUndefined();
  });
});
