import { describe, expect, it } from '@jest/globals';
import * as client from '../../../../lib/entries/client.js';

const { AcquireTimeoutError, AuthError, DistributedLock, DistributedSemaphore, LockError, stableHashShard } = client;

describe('exports of the drop-in', () => {
  it.each([
    ...['acquire', 'renew', 'enqueue', 'waitForLock', 'release', 'semAcquire', 'semRenew', 'semEnqueue'],
    ...['semWaitForLock', 'semRelease', 'publish', 'stats', 'stableHashShard', 'DistributedLock'],
    ...['DistributedSemaphore', 'SignalConnection', 'LockError', 'AcquireTimeoutError', 'AuthError', 'LockClient'],
  ])('%s', (name) => expect(client).toHaveProperty(name, expect.any(Function)));

  it('errors are constructed as the original ones', () => {
    const [plain, timeout, auth] = [new LockError('text'), new AcquireTimeoutError('my key'), new AuthError()];
    expect([plain.name, plain.message]).toEqual(['LockError', 'text']);
    expect(timeout.name).toBe('AcquireTimeoutError');
    expect(timeout.message).toContain('my key');
    expect([auth.name, auth.message]).toEqual(['AuthError', 'authentication failed']);
    for (const error of [plain, timeout, auth]) {
      expect(error).toBeInstanceOf(LockError);
      expect(error).toBeInstanceOf(Error);
    }
    expect(AcquireTimeoutError.prototype).toBeInstanceOf(LockError);
  });
});

describe('stableHashShard', () => {
  it.each([
    ['', [0, 0, 0, 0, 0, 0]],
    ['a', [1, 0, 3, 2, 4, 3]],
    ['my-key', [1, 2, 1, 2, 1, 1]],
    ['my-job', [0, 1, 0, 0, 6, 0]],
    ['hello world', [1, 0, 1, 2, 5, 5]],
    ['ключ', [0, 0, 2, 3, 1, 10]],
    ['🔒', [0, 0, 0, 4, 6, 0]],
  ])('%j', (key, shards) => {
    expect([2, 3, 4, 5, 7, 16].map((count) => stableHashShard(key, count))).toEqual(shards);
    expect(stableHashShard(key, 1)).toBe(0);
  });

  it.each([0, -1, NaN])('refuses %p servers', (count) => {
    expect(() => stableHashShard('k', count)).toThrow(LockError);
  });
});

const KINDS = [
  ['DistributedLock', (options: object) => new DistributedLock({ key: 'k', ...options })],
  ['DistributedSemaphore', (options: object) => new DistributedSemaphore({ key: 'k', limit: 2, ...options })],
] as const;

describe.each(KINDS)('options of a %s', (_name, make) => {
  it('defaults', () => {
    expect(make({})).toMatchObject({
      key: 'k',
      acquireTimeoutS: 10,
      leaseTtlS: undefined,
      servers: [['127.0.0.1', 6388]],
      shardingStrategy: stableHashShard,
      renewRatio: 0.5,
      tls: undefined,
      auth: undefined,
      onLockLost: undefined,
      connectTimeoutMs: undefined,
      socketTimeoutMs: undefined,
      token: null,
      lease: 0,
    });
  });

  it('are readable', () => {
    const options = {
      acquireTimeoutS: 0,
      leaseTtlS: 1,
      servers: [
        ['a', 1],
        ['b', 2],
      ],
      shardingStrategy: () => 0,
      renewRatio: 0.9,
      tls: { ca: 'x' },
      auth: 'secret',
      onLockLost: () => undefined,
      connectTimeoutMs: 5,
      socketTimeoutMs: 6,
    };
    const hold = make(options);
    expect(hold).toMatchObject(options);
    expect(hold.servers).not.toBe(options.servers);
    options.servers.push(['c', 3]);
    expect(hold.servers).toHaveLength(2);
  });

  it('host and port are the only server, unless there are servers', () => {
    expect(make({ host: 'h', port: 5 }).servers).toEqual([['h', 5]]);
    expect(make({ host: 'h' }).servers).toEqual([['h', 6388]]);
    expect(make({ port: 5 }).servers).toEqual([['127.0.0.1', 5]]);
    expect(make({ host: 'h', port: 5, servers: [['s', 6]] }).servers).toEqual([['s', 6]]);
  });

  it('say what a key is that is none', () => {
    class User {}
    const key = new User() as never;
    expect(() => make({ key })).toThrow('key must be a string, got a User; use a property of it, such as user.id');
  });

  it.each(['close', 'release'] as const)('have no lease after %s(), even without a connection', async (end) => {
    const hold = make({});
    hold.lease = 30;
    await hold[end]();
    expect([hold.lease, hold.token]).toEqual([0, null]);
  });

  it.each([
    ['key', ['', 'a\0b', 'a\nb', 'a\rb', undefined, 5]],
    ['acquireTimeoutS', [-1, 0.5, NaN, Infinity, '1', null]],
    ['leaseTtlS', [0, -1, 1.5, NaN, Infinity, '1', null]],
    ['servers', [[]]],
    ['renewRatio', [0, 1, -0.5, 2, NaN, Infinity, '0.5']],
    ['auth', ['a\0', 'a\n', 'a\r']],
  ])('refuses bad values of %s, and names it', (option, values) => {
    for (const value of values) {
      expect(() => make({ [option]: value })).toThrow(LockError);
      expect(() => make({ [option]: value })).toThrow(option);
    }
  });

  it('takes keys as lax as they may be', () => {
    const key = ` a\tb ${'x'.repeat(300)}`;
    expect(make({ key, auth: '' }).key).toBe(key);
  });
});

it.each([0, -1, 1.5, NaN, undefined, '1'])('refuses %p as a limit', (limit) => {
  expect(() => new DistributedSemaphore({ key: 'k', limit: limit as number })).toThrow(LockError);
});
