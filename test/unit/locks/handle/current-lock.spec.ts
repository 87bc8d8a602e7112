import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { currentLock } from '../../../../lib/locks/handle/current-lock.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import type { LockHandle } from '../../../../lib/locks/handle/lock-handle.js';
import { until } from '../../../support/until.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const ROUNDS = 40;
const turn = () => new Promise((resolve) => setImmediate(resolve));

let client: LockClient;

beforeEach(() => void (client = new LockClient({ embedded: true })));
afterEach(() => client.close());

/** A round is to begin the next one under its own lock. */
type Round = (next: () => void, seen: (lock: LockHandle) => void, n: number) => Promise<unknown>;

const ROUND: Record<string, Round> = {
  'is over': (next, seen) =>
    client.withLock('k', async (lock) => {
      seen(lock);
      setImmediate(next);
    }),
  'goes on for a while': (next, seen, n) =>
    client.withLock(`k${n % 3}`, async (lock) => {
      seen(lock);
      await turn();
      next();
      await turn();
    }),
  'is waited for by the next': (next, seen) =>
    client.withLock('k', { onNested: 'wait' }, async (lock) => {
      seen(lock);
      next();
      await turn();
    }),
  'has run its successor in the context of its lock': async (next, seen) => {
    const lock = await client.acquire('k');
    seen(lock);
    lock.run(() => setImmediate(next));
    await lock.release();
  },
  'joined a lock': async (next, seen) => {
    const lock = await client.acquire('k');
    await client.withLock('k', { onNested: lock }, async (part) => {
      seen(part);
      setImmediate(next);
    });
    await lock.release();
  },
};

describe.each(Object.keys(ROUND))('a task that begins its successor under a lock that %s', (name) => {
  it('keeps nothing of the rounds before', async () => {
    const locks: WeakRef<LockHandle>[] = [];
    const running = new Set<Promise<unknown>>();
    let goesOn = true;
    const next = (): void => {
      if (!goesOn) return;
      const round: Promise<unknown> = ROUND[name]!(next, (lock) => locks.push(new WeakRef(lock)), locks.length);
      running.add(round);
      void round.finally(() => running.delete(round));
    };
    next();
    try {
      await until(() => locks.length >= ROUNDS);
      // The rounds go on, each in the context of the one before: what they keep is what the last one keeps.
      await until(() => {
        gc();
        return locks.slice(0, ROUNDS / 2).every((lock) => lock.deref() === undefined);
      });
    } finally {
      goesOn = false;
    }
    await until(() => running.size === 0);
  });
});

describe('locks around locks', () => {
  it('are found past one that has ended in between', async () => {
    let look!: () => readonly (readonly string[] | undefined)[];
    await client.withLock('outer', async () => {
      let left: Promise<void> | undefined;
      await client.withLock('between', async () => {
        left = client.withLock('inner', async () => {
          await until(() => look !== undefined);
          await turn();
          expect(currentLock()!.keys).toEqual(['inner']);
          // What hangs on the lock in between hangs on the outer one now.
          await expect(client.acquire('outer')).rejects.toMatchObject({ code: 'NESTED' });
          await (await client.acquire('between')).release();
        });
        await turn();
      });
      look = () => [currentLock()?.keys];
      expect(look()).toEqual([['outer']]);
      await left;
    });
    expect(look()).toEqual([undefined]);
  });
});
