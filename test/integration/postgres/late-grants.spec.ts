import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Grant } from '../../../lib/backends/backend.js';
import { PostgresBackend } from '../../../lib/backends/postgres/postgres.js';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import { lockId, postgresBackend } from '../../../lib/entries/postgres.js';
import { describePostgres } from '../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { until } from '../../support/until.js';

/** While the process stands still: the server does all that it was told within a tenth of this time. */
const STALL_MS = 800;

const stall = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

describePostgres('a process that stands still while the server grants it a lock and ends the session', () => {
  let server: PostgresServer;
  let us: PostgresBackend;

  beforeAll(async () => {
    server = await PostgresServer.start();
    const host = { clock: systemClock, entropy: systemEntropy, log: () => undefined };
    us = postgresBackend(server.url)(host) as PostgresBackend;
    await us.start();
  }, 60_000);

  afterAll(async () => {
    await us.close(1000);
    await server.stop();
  });

  it('does not tell its caller of a lock that others have had since', async () => {
    const rival = await server.connect();
    const id = String(lockId('k'));
    const grants: Grant[] = [];
    /** A caller in the server's queue behind the rival. Returns the session on which it waits. */
    const queue = async (): Promise<number> => {
      await rival.query('select pg_advisory_lock($1)', [id]);
      const req = { key: 'k', kind: 'lock', limit: 1, leaseMs: 30_000, deadline: systemClock.now() + 20_000 } as const;
      const granted = (grant: Grant): void => void grants.push(grant);
      us.enqueue(req, 'queue', { onPlaced: () => undefined, granted, refused: () => undefined });
      const waiting = async (): Promise<number | undefined> =>
        (await server.advisoryLocks()).find((lock) => !lock.granted)?.pid;
      return until(waiting, 'the caller to wait at the server');
    };
    await queue();
    await rival.query('select pg_advisory_unlock($1)', [id]);
    await until(() => grants.length === 1);
    us.release(grants[0]!, () => undefined);
    const pid = await queue();
    const ending = rival.query<{ ended: string }>(
      `select pg_advisory_unlock($1), pg_sleep(0.03), pg_terminate_backend($2), pg_sleep(0.03),
         (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as ended`,
      [id, pid],
    );
    stall(STALL_MS);
    const { rows } = await ending;
    await until(() => grants.length > 1);
    expect(grants).toHaveLength(2);
    expect(grants[1]!.fence).toBeGreaterThan(BigInt(rows[0]!.ended) * 1000n);
    us.release(grants[1]!, () => undefined);
    await rival.end();
  });
});
