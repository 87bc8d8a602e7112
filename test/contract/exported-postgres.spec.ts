import { afterAll, beforeAll, describe, it } from '@jest/globals';
import pg from 'pg';
import { describeBackend } from '../../lib/entries/testing/backend.js';
import { postgresBackend } from '../../lib/entries/postgres.js';
import { DEFAULT_VERSION } from '../support/postgres/binary.js';
import { ALL_OF_POSTGRES, describePostgresVersions } from '../support/postgres/describe-postgres.js';
import { PostgresServer } from '../support/postgres/server.js';

describePostgresVersions('the contract, on Postgres', (version) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await PostgresServer.start({ version });
  }, 60_000);

  afterAll(() => server.stop());

  describeBackend({ describe, it }, 'postgres', () => ({ connect: postgresBackend(server.url) }));
  if (ALL_OF_POSTGRES && version === DEFAULT_VERSION) {
    const config = (): pg.PoolConfig => ({
      ...{ host: server.host, port: server.port, user: server.user, database: server.database },
    });
    describeBackend({ describe, it }, 'postgres, by a configuration', () => ({ connect: postgresBackend(config()) }));
    describeBackend({ describe, it }, 'postgres, by a Pool', () => ({
      connect: postgresBackend(new pg.Pool(config())),
    }));
  }
  if (ALL_OF_POSTGRES) {
    describeBackend({ describe, it }, 'postgres, with a table of kept holds', () => ({
      connect: postgresBackend(server.url, { keep: true }),
    }));
  }
});
