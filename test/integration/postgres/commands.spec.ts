import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type pg from 'pg';
import { OPS, STATEMENTS } from '../../../lib/backends/postgres/commands/statements.js';
import { Undo } from '../../../lib/backends/postgres/commands/undo.js';
import { ALL_OF_POSTGRES, describePostgresVersions } from '../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { Proxy } from '../../support/proxy.js';
import { until } from '../../support/until.js';
import { ask, cancel, Connections, lock, reset, unlock, unlockAndLock } from './support/connections.js';

/** Somebody else is at this gate. */
const BUSY_GATE = 7000n;
const SLOT = 7001n;

const long = ALL_OF_POSTGRES ? it : it.skip;

describePostgresVersions('the commands of Postgres', (version) => {
  let server: PostgresServer;
  let rival: pg.Client;
  let us: Connections;

  beforeAll(async () => {
    server = await PostgresServer.start({ version, settings: { max_connections: 40 } });
    rival = await server.connect();
  });
  beforeEach(async () => {
    us = await Connections.to(server.url);
  });
  afterEach(async () => {
    await us.close();
    await rival.query('select pg_advisory_unlock_all()');
    await until(async () => (await server.advisoryLocks()).length === 0, 'no advisory locks');
  });
  afterAll(async () => {
    await rival?.end();
    await server?.stop();
  });

  /** What a rival can take, which shows what nobody has. */
  async function isFree(id: bigint): Promise<boolean> {
    const { rows } = await rival.query('select pg_try_advisory_lock($1) as got', [id]);
    const { got } = rows[0] as { got: boolean };
    if (got) await rival.query('select pg_advisory_unlock($1)', [id]);
    return got;
  }

  /** Releases a slot, and then fails: there is no such channel to notify. */
  const fail = (): Promise<unknown> =>
    new Promise((done) =>
      us.commands.freeSlot(us.commands.session!, {
        slot: SLOT,
        gate: BUSY_GATE,
        channel: '',
        over: () => undefined,
        done,
      }),
    );

  async function canFail(): Promise<void> {
    await rival.query('select pg_advisory_lock($1)', [BUSY_GATE]);
    await us.try(SLOT);
  }

  const held = async (): Promise<bigint[]> =>
    (await server.advisoryLocks()).map(({ id }) => id).filter((id) => id !== BUSY_GATE);

  const micros = async (): Promise<bigint> => {
    const { rows } = await rival.query(
      'select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as micros',
    );
    return BigInt((rows[0] as { micros: string }).micros);
  };

  it('take and release locks: one, many, of every sign, of two ids', async () => {
    const ids = [1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), [7, -8]] as const;
    const before = await micros();
    const alone = await us.try(99n);
    const all = await Promise.all(ids.map((id) => us.try(id)));
    const after = await micros();
    const fences = [alone, ...all].map((got) => (got as { fence: bigint }).fence);
    for (const fence of fences) expect(fence >= before * 1000n && fence <= after * 1000n).toBe(true);
    for (const id of [1n, -(2n ** 63n), 99n]) await expect(isFree(id)).resolves.toBe(false);
    const { rows } = await rival.query('select pg_try_advisory_lock(7, -8) as got');
    expect(rows).toEqual([{ got: false }]);
    await expect(us.unlock(99n)).resolves.toBe('released');
    await expect(Promise.all(ids.map((id) => us.unlock(id)))).resolves.toEqual(ids.map(() => 'released'));
    expect(await server.advisoryLocks()).toEqual([]);
  });

  it('refuse what a rival has, alone and in a batch', async () => {
    await rival.query('select pg_advisory_lock(2)');
    await expect(us.try(2n)).resolves.toBe(false);
    const outcomes = await Promise.all([1n, 2n, 3n].map((id) => us.try(id)));
    expect(outcomes.map(Boolean)).toEqual([true, false, true]);
  });

  it('run in the order of the array, each op after the other (trap 3)', async () => {
    const { session } = us.commands;
    const run = async (codes: number[], ids: number[]): Promise<string[]> => {
      const [[outcomes]] = (await ask(session!, STATEMENTS.locks.text, [`{${codes.join()}}`, `{${ids.join()}}`])) as [
        [string],
      ];
      return outcomes.split(',').map((outcome) => (outcome.length > 1 ? 'got' : outcome));
    };
    const { unlock: u, try: t } = OPS;
    await expect(run([u, t, u, u, t, t, u, u], [5, 5, 5, 5, 5, 5, 5, 5])).resolves.toEqual([
      '0', 'got', '1', '0', 'got', 'got', '1', '1',
    ]); // prettier-ignore
    const many = Array.from({ length: 500 }, (_, i) => i);
    await expect(run(many.map((i) => (i % 2 ? u : t)), many.map((i) => 100 + (i >> 1)))).resolves.toEqual(
      many.map((i) => (i % 2 ? '1' : 'got')),
    ); // prettier-ignore
  });

  it('release and take again in one statement, with a later fence', async () => {
    const first = await us.try(1n);
    const [released, again] = await Promise.all([us.unlock(1n), us.try(1n)]);
    expect(released).toBe('released');
    expect((again as { fence: bigint }).fence > (first as { fence: bigint }).fence).toBe(true);
    expect(await server.advisoryLocks()).toHaveLength(1);
  });

  it('a session may take its own lock again, which the book prevents (trap 1)', async () => {
    const { session } = us.commands;
    const twice = `select pg_try_advisory_lock(1) and pg_try_advisory_lock(1)`;
    await expect(ask(session!, twice)).resolves.toEqual([['t']]);
    await ask(session!, 'select pg_advisory_unlock_all()');
    const outcomes = await Promise.all([us.try(1n), us.try(1n), us.try(2n)]);
    expect(outcomes.map(Boolean)).toEqual([true, false, true]);
    await expect(us.try(1n)).resolves.toBe(false);
    await us.unlock(1n);
    await expect(isFree(1n)).resolves.toBe(true);
  });

  it('give back what a batch took that failed, and keep what was held before (trap 2)', async () => {
    await us.try(9n);
    await canFail();
    await us.try([1, -2]);
    const said = server.output.length;
    const outcomes = await Promise.allSettled([us.try(1n), us.try([3, -4]), us.try(-2n), fail(), us.try(3n)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'fulfilled', 'rejected']);
    // The id of two numbers is shown as one.
    await expect(held()).resolves.toEqual([(1n << 32n) | 0xfffffffen, 9n]);
    expect(server.output.slice(said)).not.toMatch(/WARNING/);
    expect(us.commands.counts).toMatchObject({ repairs: 1, inBook: 2 });
    await expect(us.try(1n)).resolves.toMatchObject({ session: us.commands.session });
  });

  it('the same of a semaphore: slots, and the gate', async () => {
    await us.trySlot(1000n, 2);
    await canFail();
    const outcomes = await Promise.allSettled([us.trySlot(2000n, 3), us.trySlot(3000n, 3), fail()]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
    await expect(held()).resolves.toEqual([1001n]);
  });

  it('unlock in a batch that failed: it is done, and the lock is free', async () => {
    await us.try(1n);
    await canFail();
    const outcomes = await Promise.allSettled([us.unlock(1n), us.try(1n), fail()]);
    expect(outcomes.map((outcome) => (outcome as { value?: unknown }).value)).toEqual([
      'released', undefined, 'released',
    ]); // prettier-ignore
    await expect(held()).resolves.toEqual([]);
    expect(us.commands.counts.inBook).toBe(0);
  });

  it('a repair releases what it names, in its mode, and nothing else', async () => {
    const session = us.commands.session!;
    await ask(
      session,
      'select pg_advisory_lock(1), pg_advisory_lock(2), pg_advisory_lock(-1), pg_advisory_lock_shared(3), ' +
        'pg_advisory_lock_shared(4), pg_advisory_lock(5, -6), pg_advisory_lock(-5, 6), pg_advisory_lock(0, 2)',
    );
    const undo = new Undo();
    for (const id of [1n, -1n, 3n, [5, -6] as const, [0, 1] as const, 99n]) undo.unlock(id);
    for (const gate of [2n, 4n]) undo.unlockShared(gate);
    await ask(session, STATEMENTS.repair.text, undo.values);
    const left = await ask(
      session,
      "select objsubid, mode, classid::bigint << 32 | objid::bigint from pg_locks where locktype = 'advisory' order by 1, 3",
    );
    expect(left).toEqual([
      ['1', 'ExclusiveLock', '2'],
      ['1', 'ShareLock', '3'],
      ['2', 'ExclusiveLock', String((-5n << 32n) | 6n)],
      ['2', 'ExclusiveLock', '2'],
    ]);
    await ask(session, 'select pg_advisory_unlock_all()');
  });

  it('go on, with all locks, while statements of theirs are cancelled at random', async () => {
    const pid = us.commands.session!.pid;
    const kept = Array.from({ length: 20 }, (_, i) => 10_000n + BigInt(i));
    await Promise.all(kept.map((id) => us.try(id)));
    const repairs = (): number => us.commands.counts.repairs;
    while (repairs() < 3) {
      const before = repairs();
      const ids = Array.from({ length: 400 }, (_, i) => BigInt(i + 1));
      let isOver = false;
      const tries = Promise.allSettled(ids.map((id) => us.try(id))).finally(() => (isOver = true));
      // No more often than once a batch: a repair that is cancelled again and again ends the session.
      while (!isOver && repairs() === before) await server.query('select pg_cancel_backend($1)', [pid]);
      const outcomes = await tries;
      const got = ids.filter((_, i) => outcomes[i]!.status === 'fulfilled');
      await Promise.all(got.map((id) => us.unlock(id)));
    }
    expect(us.commands.session?.pid).toBe(pid);
    expect((await server.advisoryLocks()).map(({ id }) => id)).toEqual(kept);
  });

  it('try and free the slots of a semaphore, and notify only who is at the gate', async () => {
    const notified: string[] = [];
    rival.on('notification', ({ channel }) => notified.push(channel));
    await rival.query('listen dfl3e8');
    await expect(Promise.all([1, 2, 3].map(() => us.trySlot(1000n, 2)))).resolves.toEqual([1001n, false, false]);
    await expect(us.trySlot(1000n, 2)).resolves.toBe(1002n);
    await expect(us.freeSlot(1000n, 1001n)).resolves.toBe('released');
    await rival.query('select pg_advisory_lock(1000)');
    expect(notified).toEqual([]);
    // Somebody is at the gate: no try overtakes him, but for his own.
    await expect(us.trySlot(1000n, 2)).resolves.toBe(false);
    await expect(us.trySlot(1000n, 2, true)).resolves.toBe(1001n);
    await expect(us.freeSlot(1000n, 1002n)).resolves.toBe('released');
    await until(() => notified.length > 0);
    expect(notified).toEqual(['dfl3e8']);
    await rival.query('unlisten *');
    expect((await server.advisoryLocks()).map(({ id }) => id)).toEqual([1000n, 1001n].sort());
  });

  it('wait, hand on in one statement, and release', async () => {
    const wait = (await us.take())!;
    await rival.query('select pg_advisory_lock(1)');
    const granted = lock(wait, 1n);
    await until(() => us.waits.counts.waiting === 1);
    const before = await micros();
    await rival.query('select pg_advisory_unlock(1)');
    const fence = await granted;
    expect(fence >= before * 1000n).toBe(true);
    const next = rival.query('select pg_advisory_lock(1)');
    await until(async () => (await server.advisoryLocks()).some(({ granted: has }) => !has));
    const again = unlockAndLock(wait, 1n);
    await next;
    await rival.query('select pg_advisory_unlock(1)');
    expect((await again) > fence).toBe(true);
    await expect(unlock(wait, 1n)).resolves.toBe('released');
    wait.release();
    await expect(us.take()).resolves.toBe(wait);
  });

  it('a lock of two ids as well', async () => {
    const wait = (await us.take())!;
    await lock(wait, [1, -2]);
    await unlockAndLock(wait, [1, -2]);
    await expect(unlock(wait, [1, -2])).resolves.toBe('released');
  });

  it('a try never overtakes who waits (trap 5)', async () => {
    const wait = (await us.take())!;
    await rival.query('select pg_advisory_lock(1)');
    const granted = lock(wait, 1n);
    await until(async () => (await server.advisoryLocks()).some(({ granted: has }) => !has));
    const hammer = await Connections.to(server.url);
    let isOver = false;
    const tries = (async (): Promise<unknown[]> => {
      const outcomes = [];
      while (!isOver) outcomes.push(await hammer.try(1n));
      return outcomes;
    })();
    await rival.query('select pg_advisory_unlock(1)');
    await granted;
    isOver = true;
    expect((await tries).filter(Boolean)).toEqual([]);
    await hammer.close();
  });

  it('cancel a wait: nothing stays taken, the session is used again, and no statement of others is hit (trap 6)', async () => {
    const wait = (await us.take())!;
    for (let round = 0; round < (ALL_OF_POSTGRES ? 1000 : 60); round++) {
      const id = BigInt(round + 1);
      await rival.query('select pg_advisory_lock($1)', [id]);
      let isGranted = false;
      wait.lock(id, {
        granted: () => (isGranted = true),
        failed: (error) => {
          throw error;
        },
      });
      const released = rival.query('select pg_advisory_unlock($1)', [id]);
      // Around the release, in steps of some microseconds.
      for (const until = performance.now() + (round % 20) / 10; performance.now() < until;);
      if (isGranted) await unlock(wait, id);
      else await cancel(wait);
      await released;
      await expect(ask(wait.session, 'select 1')).resolves.toEqual([['1']]);
      expect((await server.advisoryLocks()).filter(({ pid }) => pid === wait.session.pid)).toEqual([]);
    }
    expect(us.waits.counts.cancels).toBeGreaterThan(0);
  });

  it('a wait that somebody else cancels gives back what it was granted, and says why it failed', async () => {
    const wait = (await us.take())!;
    await rival.query('select pg_advisory_lock(1)');
    const over = expect(lock(wait, 1n)).rejects.toMatchObject({ name: 'LockUnavailableError' });
    await until(async () => (await server.advisoryLocks()).some(({ granted: has }) => !has));
    await server.query('select pg_cancel_backend($1)', [wait.session.pid]);
    await over;
    await rival.query('select pg_advisory_unlock(1)');
    await lock(wait, 1n);
    await unlock(wait, 1n);
  });

  it('a channel is listened to until it is not any more', async () => {
    const wait = (await us.take())!;
    const heard: string[] = [];
    wait.listen('dflff', () => heard.push('heard'));
    // It hears that it listens.
    await until(() => heard.length === 1);
    await rival.query('notify dflff');
    await until(() => heard.length === 2);
    wait.unlisten('dflff');
    await ask(wait.session, 'select 1');
    await rival.query('notify dflff');
    await ask(wait.session, 'select 1');
    expect(heard).toEqual(['heard', 'heard']);
  });

  long('a wait whose session has ended on the server only has failed soon, and its place is free', async () => {
    const proxy = await Proxy.to(server.port);
    const [, port] = proxy.address.split(':');
    const behind = await Connections.to(server.url.replace(String(server.port), port!), {
      sessionTimeoutMs: 2000,
      requestTimeoutMs: 1000,
    });
    const links = [...proxy.links];
    const spare = (await behind.take())!;
    const wait = (await behind.take())!;
    const [link] = [...proxy.links].filter((one) => !links.includes(one));
    await rival.query('select pg_advisory_lock(1)');
    const over = expect(lock(wait, 1n)).rejects.toThrow(/the server does not know the session any more/);
    await until(() => behind.waits.counts.waiting === 1);
    link!.resetServer();
    await over;
    await until(async () => (await server.advisoryLocks()).length === 1);
    await lock(spare, 2n);
    await behind.close();
    await proxy.close();
  });

  it('a session is cancelled, and said to be there, by its pid and its start: another one may have the pid by now', async () => {
    const other = await server.connect();
    const [{ pid, start }] = (
      await other.query('select pid, backend_start::text as start from pg_stat_activity where pid = pg_backend_pid()')
    ).rows as [{ pid: number; start: string }];
    const sleeping = other.query('select pg_sleep(60)').catch((error: Error) => error.message);
    const activity = async (when: string): Promise<unknown[]> =>
      (await rival.query(STATEMENTS.activity.text, [`{${pid}}`, `{"${when}"}`])).rows;
    await until(async () => (await activity(start)).length === 1, 'the other session');
    const earlier = '2026-01-01 00:00:00+00';
    expect(await activity(earlier)).toEqual([]);
    expect((await rival.query(STATEMENTS.cancel.text, [pid, earlier])).rows).toEqual([]);
    expect(await activity(start)).toEqual([{ pid, state: 'active' }]);
    expect((await rival.query(STATEMENTS.cancel.text, [pid, start])).rows).toEqual([{ pg_cancel_backend: 1 }]);
    expect(await sleeping).toBe('canceling statement due to user request');
    await other.end();
  });

  it('a session that nobody uses is closed after idleCloseMs, and there is another one for the next caller', async () => {
    const idle = await Connections.to(server.url, { idleCloseMs: 20 });
    await idle.try(1n);
    const { pid } = idle.commands.session!;
    await idle.unlock(1n);
    const isThere = async (): Promise<boolean> =>
      (await server.query('select from pg_stat_activity where pid = $1', [pid])).length > 0;
    await until(async () => !(await isThere()), 'the end of the idle session');
    await expect(idle.try(1n)).resolves.toMatchObject({ session: { kind: 'command' } });
    await idle.close();
  });

  it('a session that is declared lost is ended on the server as soon as there is another one', async () => {
    const got = await us.try(1n);
    const { pid } = us.commands.session!;
    (got as { session: { end(error: Error): void } }).session.end(reset());
    await until(() => us.commands.session);
    await until(async () => (await server.advisoryLocks()).length === 0);
    expect(us.commands.session!.pid).not.toBe(pid);
    await expect(us.try(1n)).resolves.toBeTruthy();
  });
});
