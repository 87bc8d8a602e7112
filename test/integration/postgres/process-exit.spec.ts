import { describe, expect, it } from '@jest/globals';
import { awaitAll, awaitAllInVain } from '../../support/awaited-calls.js';
import { freePort } from '../../support/free-port.mjs';
import { ALL_OF_POSTGRES, describePostgres } from '../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { ALL_AWAITED, usePrograms } from '../../support/programs.js';

(ALL_OF_POSTGRES ? describePostgres : describe.skip)('a process with locks in Postgres', () => {
  const programs = usePrograms(() => PostgresServer.start());

  const run = (program: (options: string) => string, port: number, options: string) => {
    const url = programs.server.url.replace(/:\d+\//, `:${port}/`);
    return programs.run(
      `
        const { postgresBackend } = await ROOM('backends/postgres/postgres-backend.js');
        ${program(`{ backend: postgresBackend('${url}', ${options}) }`)}
      `,
      30_000,
    );
  };

  it.each([['{}'], ['{ keep: true }'], ['{ idleCloseMs: 1 }']])(
    'stays alive until what it awaits is answered: %s',
    async (options) => {
      expect(await run(awaitAll, programs.slowPort, options)).toEqual(ALL_AWAITED);
    },
    40_000,
  );

  it('stays alive until it knows that there is no server', async () => {
    expect(await run(awaitAllInVain, await freePort(), '{}')).toEqual(ALL_AWAITED);
  });
});
