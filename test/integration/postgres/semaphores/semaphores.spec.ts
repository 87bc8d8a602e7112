import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type pg from 'pg';
import { slotIdsOf } from '../../../../lib/backends/postgres/ids/slot-ids.js';
import { hasHeldSlot } from '../../../../lib/backends/postgres/inspection.js';
import { ConfigError, LimitMismatchError, PoolExhaustedError } from '../../../../lib/common/errors.js';
import { nextTurn } from '../../../../lib/common/system.js';
import { LockClient } from '../../../../lib/entries/client.js';
import { postgresBackend, type PostgresBackendOptions, type PostgresStats } from '../../../../lib/entries/postgres.js';
import { describePostgresVersions } from '../../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../../support/postgres/server.js';
import { until } from '../../../support/until.js';

type Client = LockClient<PostgresStats>;

const LIMIT = 3;
const inSlots = { limit: LIMIT, acquireTimeoutS: 20 };
/** Heads only poll this seldom: what comes sooner came by a notification. */
const NEVER_POLL = { semPollMs: 60_000 };

describePostgresVersions('semaphores on Postgres', (version) => {
  let server: PostgresServer;
  let raw: pg.Client;
  const clients: Client[] = [];

  beforeAll(async () => {
    server = await PostgresServer.start({ version });
    raw = await server.connect();
  });
  afterAll(async () => {
    await raw?.end();
    await server?.stop();
  });
  let key: string;
  let keys = 0;
  beforeEach(() => {
    key = `k${++keys}`;
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await raw.query('select pg_advisory_unlock_all()');
    await until(async () => (await server.advisoryLocks()).length === 0, 'an empty table of locks');
  });

  /** One process. */
  async function newClient(options: PostgresBackendOptions = {}): Promise<Client> {
    const client = await LockClient.connect({ backend: postgresBackend(server.url, options) });
    clients.push(client);
    return client;
  }
  const newClients = (count: number, options?: PostgresBackendOptions): Promise<Client[]> =>
    Promise.all(Array.from({ length: count }, () => newClient(options)));
  const ids = () => slotIdsOf(key, LIMIT);
  const waitersAt = async (gate: bigint): Promise<number> =>
    (await server.advisoryLocks()).filter(({ id, mode }) => id === gate && mode === 'ExclusiveLock').length;
  /** A process of ours is at the gate, and has found no slot. */
  const head = async (): Promise<void> => {
    await until(async () => (await waitersAt(ids().gate)) > 0, 'a head');
  };
  const statsOf = async (client: Client): Promise<PostgresStats> => (await client.stats())[0]!;

  it('have as many slots as they should, in one process and in several', async () => {
    const [a, b] = await newClients(2);
    const held = [await a!.acquire(key, inSlots), await b!.acquire(key, inSlots), await a!.acquire(key, inSlots)];
    expect(await a!.tryAcquire(key, inSlots)).toBeNull();
    expect(await b!.tryAcquire(key, inSlots)).toBeNull();
    await held[0]!.release();
    const next = await b!.tryAcquire(key, inSlots);
    expect(next?.isHeld).toBe(true);
    expect(next!.fence).toBeGreaterThan(held[2]!.fence!);
  });

  it('grant all slots to callers of one process that ask at the same moment, without a wait', async () => {
    const a = await newClient();
    const held = await Promise.all([1, 2, 3].map(() => a.acquire(key, inSlots)));
    expect(held.every(({ isHeld }) => isHeld)).toBe(true);
    expect((await statsOf(a)).connections).toBeLessThanOrEqual(2);
    expect(await waitersAt(ids().gate)).toBe(0);
  });

  it('serve those who wait when slots are released, by notifications alone', async () => {
    const [a, b] = await newClients(2, NEVER_POLL);
    const held = await Promise.all([1, 2, 3].map(() => a!.acquire(key, inSlots)));
    const waiting = [b!.acquire(key, inSlots), b!.acquire(key, inSlots)];
    await head();
    await held[0]!.release();
    const first = await waiting[0]!;
    await held[1]!.release();
    await waiting[1]!;
    expect(await b!.tryAcquire(key, inSlots)).toBeNull();
    await first.release();
    // The last one at the gate leaves it without being waited for.
    await until(async () => (await waitersAt(ids().gate)) === 0, 'an open gate');
    expect(await a!.tryAcquire(key, inSlots)).not.toBeNull();
  });

  it('serve the head although no notification comes: it only polls', async () => {
    const { slots, gate } = ids();
    for (const slot of slots) await raw.query('select pg_advisory_lock($1)', [slot]);
    const a = await newClient({ semPollMs: 50 });
    const waiting = a.acquire(key, inSlots);
    await head();
    // As a process does that is killed.
    await raw.query('select pg_advisory_unlock($1)', [slots[1]]);
    expect((await waiting).isHeld).toBe(true);
    await until(async () => (await waitersAt(gate)) === 0, 'the gate to be open');
  });

  it('serve the head soon after a process with slots is cut off', async () => {
    const [a, b] = await newClients(2);
    await Promise.all([1, 2, 3].map(() => a!.acquire(key, inSlots)));
    const waiting = b!.acquire(key, inSlots);
    await head();
    const began = Date.now();
    const [slot] = (await server.advisoryLocks()).filter(({ id }) => ids().slots.includes(id));
    await server.query('select pg_terminate_backend($1)', [slot!.pid]);
    await waiting;
    expect(Date.now() - began).toBeLessThan(2000);
  });

  it('are not overtaken by 20 callers that try all the time', async () => {
    const [a, b, rival] = await newClients(3);
    let isOver = false;
    let stolen = 0;
    const held = await Promise.all([1, 2, 3].map(() => a!.acquire(key, inSlots)));
    const hammer = async (): Promise<void> => {
      while (!isOver) {
        const slot = await rival!.tryAcquire(key, inSlots);
        if (slot) stolen++;
        await slot?.release();
        // Refusals that need no server would leave no room for anything else.
        await nextTurn();
      }
    };
    const hammers = Array.from({ length: 20 }, hammer);
    const open = (): Promise<unknown> => until(async () => (await waitersAt(ids().gate)) === 0, 'an open gate');
    for (let turn = 0; turn < 20; turn++) {
      const waiting = b!.acquire(key, inSlots);
      await head();
      stolen = 0;
      await held.shift()!.release();
      const slot = await waiting;
      expect(stolen).toBe(0);
      // Given to the first process before anybody else gets it.
      await open();
      const back = a!.acquire(key, inSlots);
      await head();
      await slot.release();
      held.push(await back);
      await open();
    }
    isOver = true;
    await Promise.all(hammers);
  });

  it('serve the callers of one process in their order', async () => {
    const [a, b] = await newClients(2);
    const order: number[] = [];
    const held = await Promise.all([1, 2, 3].map(() => a!.acquire(key, inSlots)));
    const all = Array.from({ length: 30 }, async (_, i) => {
      const slot = await b!.acquire(key, inSlots);
      order.push(i);
      await slot.release();
    });
    await head();
    await Promise.all(held.map((slot) => slot.release()));
    await Promise.all(all);
    expect(order).toEqual([...order].sort((x, y) => x - y));
  });

  it('give fences that rise from grant to grant in a process, over local turns', async () => {
    const a = await newClient({ localTurns: 10, localMs: 60_000 });
    const fences: bigint[] = [];
    const work = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) {
        const slot = await a.acquire(key, inSlots);
        fences.push(slot.fence!);
        await slot.release();
      }
    };
    await Promise.all([work(), work(), work(), work(), work(), work()]);
    for (let i = 1; i < fences.length; i++) expect(fences[i]!).toBeGreaterThan(fences[i - 1]!);
  });

  it('refuse another limit, and name both', async () => {
    const [a, b] = await newClients(2);
    const slot = await a!.acquire(key, inSlots);
    const error: unknown = await b!.acquire(key, { limit: 5 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LimitMismatchError);
    expect(String((error as Error).cause)).toContain('asked for 5, others use 3');
    await expect(b!.tryAcquire(key, { limit: 2 })).rejects.toThrow(LimitMismatchError);
    // A refused attempt leaves nothing behind.
    await (await b!.acquire(key, inSlots)).release();
    await slot.release();
    // For a minute.
    await expect((await newClient()).tryAcquire(key, { limit: 5 })).rejects.toThrow(LimitMismatchError);
  });

  it('forget a limit with the last process that used it', async () => {
    const a = await newClient();
    await (await a.acquire(key, inSlots)).release();
    await a.close();
    const b = await newClient();
    expect(await b.tryAcquire(key, { limit: 5 })).not.toBeNull();
  });

  it('never accept two limits that are asked for at the same moment', async () => {
    const [a, b] = await newClients(2);
    for (let round = 0; round < 50; round++) {
      const one = `${key}:${round}`;
      const [first, second] = await Promise.allSettled([
        a!.tryAcquire(one, { limit: 2 }),
        b!.tryAcquire(one, { limit: 3 }),
      ]);
      expect([first.status, second.status]).toContain('rejected');
      for (const outcome of [first, second]) {
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(LimitMismatchError);
      }
    }
  });

  it('publish their limit again after a reconnect', async () => {
    const [a, b] = await newClients(2);
    const slot = await a!.acquire(key, inSlots);
    const [mine] = (await server.advisoryLocks()).filter(({ id }) => ids().slots.includes(id));
    await server.query('select pg_terminate_backend($1)', [mine!.pid]);
    await until(() => !slot.isHeld, 'the loss');
    await a!.acquire(key, inSlots);
    await expect(b!.tryAcquire(key, { limit: 4 })).rejects.toThrow(LimitMismatchError);
  });

  it('are locked while anybody holds a slot', async () => {
    const [a, b] = await newClients(2);
    const isLocked = (): Promise<boolean> => b!.isLocked(key, { limit: LIMIT });
    expect(await isLocked()).toBe(false);
    const held = [];
    for (let i = 0; i < LIMIT; i++) {
      held.push(await a!.acquire(key, inSlots));
      expect(await isLocked()).toBe(true);
    }
    for (const lock of held) {
      expect(await isLocked()).toBe(true);
      await lock.release();
    }
    expect(await isLocked()).toBe(false);
  });

  it('are counted right where their ids go on at the other end of the integers', async () => {
    const gate = 2n ** 63n - 2n;
    const [{ name, text }, [classId, objectId]] = hasHeldSlot(key);
    const isLocked = async (): Promise<unknown> => {
      const { rows } = await raw.query({ name, text, values: [classId, objectId, String(gate)], rowMode: 'array' });
      return (rows as unknown as [[boolean]])[0][0];
    };
    await raw.query('select pg_advisory_lock_shared($1::int, $2::int)', [classId, (objectId as number) + LIMIT]);
    // The gate itself, and what is behind the last slot.
    for (const other of [gate, 2n - 2n ** 63n]) await raw.query('select pg_advisory_lock($1)', [other]);
    expect(await isLocked()).toBe(false);
    for (const slot of [gate + 1n, -(2n ** 63n), 1n - 2n ** 63n]) {
      await raw.query('select pg_advisory_lock($1)', [slot]);
      expect(await isLocked()).toBe(true);
      await raw.query('select pg_advisory_unlock($1)', [slot]);
      expect(await isLocked()).toBe(false);
    }
  });

  it('poll where there is no connection to wait on, and are told so at the deadline', async () => {
    const [a, b] = await newClients(2, { maxWaitConnections: 1 });
    const lock = await a!.acquire('other');
    const held = await Promise.all([1, 2, 3].map(() => a!.acquire(key, inSlots)));
    const blocked = b!.acquire('other', { acquireTimeoutS: 20 });
    await until(async () => (await server.advisoryLocks()).some(({ granted }) => !granted), 'the wait for the other');
    await expect(b!.acquire(key, { limit: LIMIT, acquireTimeoutS: 0.3 })).rejects.toThrow(PoolExhaustedError);
    const waiting = b!.acquire(key, inSlots);
    await held[0]!.release();
    await waiting;
    await lock.release();
    await blocked;
  });

  it('refuse a limit that is too large, and take large ones', async () => {
    const a = await newClient();
    await expect(a.tryAcquire(key, { limit: 2 ** 20 })).rejects.toThrow(ConfigError);
    const held = await Promise.all(Array.from({ length: 200 }, () => a.acquire(key, { limit: 200 })));
    expect(await a.tryAcquire(key, { limit: 200 })).toBeNull();
    expect(new Set(held.map(({ token }) => token)).size).toBe(200);
  });

  it('leave the gate when nobody waits any more', async () => {
    const [a, b] = await newClients(2);
    await Promise.all([1, 2, 3].map(() => a!.acquire(key, inSlots)));
    const first = b!.acquire(key, { limit: LIMIT, acquireTimeoutS: 0.2 });
    const stop = new AbortController();
    const second = b!.acquire(key, { ...inSlots, signal: stop.signal });
    await head();
    await expect(first).rejects.toMatchObject({ code: 'ACQUIRE_TIMEOUT' });
    expect(await waitersAt(ids().gate)).toBe(1);
    stop.abort();
    await expect(second).rejects.toThrow();
    await until(async () => (await waitersAt(ids().gate)) === 0, 'the gate to be open');
  });

  it('have tickets: places of their own, in order', async () => {
    const [a, b, c] = await newClients(3);
    const held = await Promise.all([1, 2, 3].map(() => a!.acquire(key, inSlots)));
    const ticket = b!.enqueue(key, { limit: LIMIT });
    await head();
    const later = c!.acquire(key, inSlots);
    await until(async () => (await waitersAt(ids().gate)) === 2, 'two at the gate');
    await held[0]!.release();
    const slot = await ticket.wait(10);
    expect(slot?.isHeld).toBe(true);
    await slot!.release();
    await later;
  });
});
