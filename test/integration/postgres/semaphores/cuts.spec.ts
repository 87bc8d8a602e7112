import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { LockError } from '../../../../lib/common/errors.js';
import { LockClient } from '../../../../lib/entries/client.js';
import { postgresBackend } from '../../../../lib/entries/postgres.js';
import { describePostgres } from '../../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../../support/postgres/server.js';
import { until } from '../../../support/until.js';

const LIMIT = 3;
const CUTS = 25;
/** How long after a cut its holders may learn of it: the news takes its way, on a busy machine. */
const NEWS_MS = 300;

interface Hold {
  readonly from: number;
  until: number;
}

/** The most holds at once. */
function most(holds: readonly Hold[]): number {
  const ends = holds.flatMap(({ from, until: to }) => [
    { at: from, change: 1 },
    { at: to, change: -1 },
  ]);
  ends.sort((one, other) => one.at - other.at || one.change - other.change);
  let [now, highest] = [0, 0];
  for (const { change } of ends) highest = Math.max(highest, (now += change));
  return highest;
}

describePostgres('a semaphore whose sessions are terminated at random', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server?.stop());

  it('never has more holders than slots, and serves everybody', async () => {
    const clients = await Promise.all(
      Array.from({ length: 4 }, () => LockClient.connect({ backend: postgresBackend(server.url, { localTurns: 2 }) })),
    );
    const holds: Hold[] = [];
    let [isOver, losses] = [false, 0];
    const work = async (client: LockClient<unknown>): Promise<void> => {
      while (!isOver) {
        try {
          const slot = await client.acquire('k', { limit: LIMIT, acquireTimeoutS: 20 });
          const hold: Hold = { from: performance.now(), until: Infinity };
          holds.push(hold);
          let lostAt: number | undefined;
          slot.signal.addEventListener('abort', () => (lostAt = performance.now()));
          await new Promise((resolve) => setTimeout(resolve, 2));
          // Released when it begins: nobody believes anything any more.
          hold.until = lostAt === undefined ? performance.now() : lostAt - NEWS_MS;
          if (!(await slot.release())) {
            hold.until = Math.min(hold.until, performance.now() - NEWS_MS);
            losses++;
          }
        } catch (error) {
          // Between two connections there may be no answer.
          if (!(error instanceof LockError && error.isTransient)) throw error;
        }
      }
    };
    const workers = clients.flatMap((client) => [work(client), work(client), work(client)]);
    for (let cut = 0; cut < CUTS; cut++) {
      const before = holds.length;
      await until(() => holds.length > before + 10, 'more holds');
      await server.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'nestjs-dflockd%'
         order by random() limit 1`,
      );
    }
    isOver = true;
    await Promise.all(workers);
    expect(most(holds.filter(({ from, until: to }) => to > from))).toBeLessThanOrEqual(LIMIT);
    expect(losses).toBeGreaterThan(0);
    // Nothing was left behind: all slots can be had.
    const all = await Promise.all(
      Array.from({ length: LIMIT }, () => clients[0]!.acquire('k', { limit: LIMIT, acquireTimeoutS: 10 })),
    );
    expect(all.every(({ isHeld }) => isHeld)).toBe(true);
    expect(await clients[1]!.tryAcquire('k', { limit: LIMIT })).toBeNull();
    await Promise.all(clients.map((client) => client.close()));
    await until(async () => (await server.advisoryLocks()).length === 0, 'an empty table of locks');
  }, 60_000);
});
