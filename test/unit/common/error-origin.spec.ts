import { afterEach, describe, expect, it } from '@jest/globals';
import { originOf, withOrigin } from '../../../lib/common/error-origin.js';
import { AcquireTimeoutError, LockError } from '../../../lib/common/errors.js';
import { LockClient } from '../../../lib/locks/lock-client.js';

const clients: LockClient[] = [];
const make = async (): Promise<LockClient> => {
  const client = await LockClient.connect({ embedded: true, shutdownTimeoutS: 0 });
  clients.push(client);
  return client;
};
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

const busy = async (client: LockClient, keys: string | string[], acquireTimeoutS: number): Promise<unknown> => {
  await using _held = await client.acquire(keys);
  return await client.acquire(keys, { acquireTimeoutS });
};
const closed = async (client: LockClient): Promise<LockClient> => {
  await client.close();
  return client;
};

describe('an error tells which client it comes from', () => {
  it.each<[string, (client: LockClient) => unknown]>([
    ['a busy lock', (client) => busy(client, 'k', 0.01)],
    ['a busy lock that is not waited for', (client) => busy(client, 'k', 0)],
    ['several busy locks', (client) => busy(client, ['k', 'l'], 0.01)],
    ['a key', (client) => client.acquire('a b')],
    ['a nested lock', (client) => client.withLock('k', () => client.acquire('k'))],
    [
      'a handle that was released',
      async (client) => {
        const lock = await client.acquire('k');
        await lock.release();
        return client.acquire('k', { onNested: lock });
      },
    ],
    [
      'a lost lock',
      (client) =>
        client.withLock(
          'k',
          { maxHoldS: 0.01 },
          (lock) => new Promise<void>((resolve) => lock.signal.addEventListener('abort', () => resolve())),
        ),
    ],
    [
      'the end of the client, in a signal',
      async (client) => {
        const lock = await client.acquire('k');
        await client.close();
        lock.signal.throwIfAborted();
      },
    ],
    [
      'the end of the client, in a ticket',
      async (client) => {
        await client.acquire('k');
        const waiting = client.enqueue('k').wait();
        void client.close();
        return waiting;
      },
    ],
    [
      'a lost lock, to a part of it',
      (client) =>
        client.withLock('k', { maxHoldS: 0.01 }, (whole) =>
          client.withLock('k', { onNested: whole }, (lock) => {
            return new Promise<void>((resolve) => lock.signal.addEventListener('abort', () => resolve()));
          }),
        ),
    ],
    [
      'a part that was released',
      async (client) => {
        const part = await client.acquire('k', { onNested: await client.acquire('k') });
        await part.release();
        part.assertHeld();
      },
    ],
    ['a closed client, enqueue', async (client) => (await closed(client)).enqueue('k')],
    ['a nested ticket', (client) => client.withLock('k', () => client.enqueue('k'))],
    ['a closed client, acquire', async (client) => (await closed(client)).acquire('k')],
    ['a closed client, acquire of several', async (client) => (await closed(client)).acquire(['k', 'l'])],
    ['a closed client, tryAcquire', async (client) => (await closed(client)).tryAcquire('k')],
    ['a closed client, ping', async (client) => (await closed(client)).ping()],
    ['a closed client, stats', async (client) => (await closed(client)).stats()],
  ])('%s', async (_, fail) => {
    const client = await make();
    const error: unknown = await Promise.resolve(client)
      .then(fail)
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(LockError);
    expect(originOf(error as LockError)).toBe(client.origin);
  });

  it('one that passes through the bodies of another: the first', async () => {
    const [inner, outer] = [await make(), await make()];
    const error: unknown = await outer.withLock('k', () => busy(inner, 'k', 0)).catch((e: unknown) => e);
    expect(originOf(error as LockError)).toBe(inner.origin);
    expect(inner.origin).not.toBe(outer.origin);
  });

  it('also if it is frozen; and it shows nothing of that', () => {
    const error = Object.freeze(new AcquireTimeoutError('k'));
    const origin = {};
    expect(withOrigin(error, origin)).toBe(error);
    expect(originOf(error)).toBe(origin);
    expect(Reflect.ownKeys(error).sort()).toEqual(Reflect.ownKeys(new AcquireTimeoutError('k')).sort());
    expect(originOf(new AcquireTimeoutError('k'))).toBeUndefined();
  });

  it('but not if it is no LockError', () => {
    expect(withOrigin('reason', {})).toBe('reason');
  });
});
