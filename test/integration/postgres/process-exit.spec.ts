import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { awaitAll, awaitAllInVain } from '../../support/awaited-calls.js';
import { CompiledLib } from '../../support/compiled-lib.js';
import { freePort } from '../../support/free-port.mjs';
import { ALL_OF_POSTGRES, describePostgres } from '../../support/postgres/describe-postgres.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { Proxy } from '../../support/proxy.js';

(ALL_OF_POSTGRES ? describePostgres : describe.skip)('a process with locks in Postgres', () => {
  let lib: CompiledLib;
  let server: PostgresServer;
  let proxy: Proxy;

  beforeAll(async () => {
    [lib, server] = await Promise.all([CompiledLib.make(), PostgresServer.start()]);
    proxy = await Proxy.to(server.port);
    // Answers that are there at once would be read before the process ends.
    proxy.delay(5);
  }, 30_000);

  afterAll(async () => {
    await proxy.close();
    await server.stop();
    await lib.remove();
  });

  const run = (program: (options: string) => string, port: number, options: string) =>
    lib.run(
      `
        const { postgresBackend } = await ROOM('backends/postgres/postgres-backend.js');
        ${program(`{ backend: postgresBackend('${server.url.replace(/:\d+\//, `:${port}/`)}', ${options}) }`)}
      `,
      30_000,
    );

  it.each([['{}'], ['{ keep: true }'], ['{ idleCloseMs: 1 }']])(
    'stays alive until what it awaits is answered: %s',
    async (options) => {
      const { code, out } = await run(awaitAll, Number(proxy.address.split(':')[1]), options);
      expect([out, code]).toEqual([expect.stringMatching(/that is all\n$/), 0]);
    },
    40_000,
  );

  it('stays alive until it knows that there is no server', async () => {
    const { code, out } = await run(awaitAllInVain, await freePort(), '{}');
    expect([out, code]).toEqual([expect.stringMatching(/that is all\n$/), 0]);
  });
});
