import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type { SqlTransaction } from '../../../lib/entries/postgres.js';
import { lockId, lockInTransaction, tryLockInTransaction } from '../../../lib/entries/postgres.js';
import { ALL_OF_POSTGRES, describePostgres } from '../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../support/postgres/server.js';

/** Runs a transaction of some kind, and calls back in it. */
type Kind = (url: string, within: (tx: SqlTransaction) => Promise<void>) => Promise<void>;

/** Loaded only if they run. */
const kinds: Readonly<Record<string, Kind>> = ALL_OF_POSTGRES
  ? (await import('../../support/postgres/libraries/kinds.js')).KINDS
  : {};

if (ALL_OF_POSTGRES) {
  describePostgres('other ways to be in a transaction', () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await PostgresServer.start();
    });
    afterAll(() => server?.stop());
    afterEach(async () => expect(await server.advisoryLocks()).toEqual([]));

    it.each(Object.entries(kinds))('%s', async (_name, kind) => {
      let calls = 0;
      await kind(server.url, async (tx) => {
        calls++;
        expect(await tryLockInTransaction(tx, 'a')).toBe(true);
        await lockInTransaction(tx, 'b', { timeoutMs: 1000 });
        const ids = (await server.advisoryLocks()).map(({ id }) => id);
        expect(new Set(ids)).toEqual(new Set([lockId('a'), lockId('b')]));
      });
      expect(calls).toBeGreaterThan(0);
    });
  });
} else {
  it.skip('other ways to be in a transaction (npm run test:postgres)', () => undefined);
}
