import type { Case } from './case.js';
import { GRANTS } from './grant-cases.js';
import { PROCESSES } from './process-cases.js';
import { WAITS } from './wait-cases.js';
import { type BackendWorld, TestWorld } from './world.js';

export type { BackendWorld } from './world.js';

/** The part of a test runner that this needs: jest, vitest, mocha, node:test and others have it. */
export interface TestRunner {
  readonly describe: (name: string, define: () => void) => unknown;
  readonly it: (name: string, run: () => Promise<void>) => unknown;
}

/**
 * Defines tests of what every backend guarantees; what is optional is tested according to its capabilities. They use
 * real time, some seconds altogether, and `node:assert`.
 * @param runner where the tests are defined
 * @param setUp creates a place where locks live, for each test
 *
 * @example
 * ```ts
 * import { describe, it } from 'node:test';
 * describeBackend({ describe, it }, 'my backend', async () => {
 *   const server = await startServer();
 *   return { connect: myBackend(server.url), close: () => server.stop() };
 * });
 * ```
 */
export function describeBackend(
  runner: TestRunner,
  name: string,
  setUp: () => BackendWorld | Promise<BackendWorld>,
): void {
  const { describe, it } = runner;
  const define = ([what, run]: Case): void => {
    it(what, async () =>
      TestWorld.with(await setUp(), async (world) => {
        const [a, b] = [await world.process(), await world.process()];
        await run({ world, a, b, caps: a.capabilities });
      }),
    );
  };
  describe(`the backend ${name}`, () => {
    for (const one of [...GRANTS, ...WAITS, ...PROCESSES]) define(one);
  });
}
