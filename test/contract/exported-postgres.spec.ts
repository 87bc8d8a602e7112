import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { describeBackend } from '../../lib/entries/testing/backend.js';
import { postgresBackend } from '../../lib/entries/postgres.js';
import { ALL_OF_POSTGRES, describePostgresVersions } from '../support/postgres/describe-postgres.js';
import { PostgresServer } from '../support/postgres/server.js';

describePostgresVersions('the contract, on Postgres', (version) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await PostgresServer.start({ version });
  }, 60_000);

  afterAll(() => server.stop());

  describeBackend({ describe, it }, 'postgres', () => ({ connect: postgresBackend(server.url) }));
  if (ALL_OF_POSTGRES) {
    describeBackend({ describe, it }, 'postgres, with a table of kept holds', () => ({
      connect: postgresBackend(server.url, { keep: true }),
    }));
  }
});
