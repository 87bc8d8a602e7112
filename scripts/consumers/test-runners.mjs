// The fake timers of test runners other than ours: vitest 2 to 4, and node:test.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { forAll, run } from './commands.mjs';

const files = fileURLToPath(new URL('runners', import.meta.url));
const VITESTS = ['2', '3', '4'];
/** Half of the time is start-up, and waiting for the registry. */
const AT_ONCE = 3;
const LONGEST_RUN_MS = 60_000;

/** The example in docs/testing.md for a test runner; it has no types to strip. */
const page = readFileSync(new URL('../../docs/testing.md', import.meta.url), 'utf8');
const exampleFor = (runner) =>
  [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code).find((code) => code.includes(`from '${runner}'`));

const quietly = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
const manifest = (folder, name) =>
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }));

/**
 * @param nodes the Node binaries by version
 * @returns the names of the runners that failed
 */
export async function checkTestRunners(work, tarball, nodes) {
  const project = join(work, 'test-runners');
  mkdirSync(project);
  manifest(project, 'test-runners');
  const nest = ['@nestjs/common@12', '@nestjs/core@12', 'reflect-metadata', 'rxjs'];
  await run(project, 'npm', ['install', ...quietly, tarball, ...nest]);

  const failures = [];
  const attempt = async (name, test) => {
    const start = performance.now();
    try {
      await test();
      console.log(`${name}: fake timers drive the locks (${((performance.now() - start) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failures.push(name);
      console.error(`${name}: ${error.message}`);
    }
  };
  const env = { NO_COLOR: '1' };
  cpSync(files, join(project, 'node'), { recursive: true });
  writeFileSync(join(project, 'node', 'example.spec.mjs'), exampleFor('node:test'));
  const ofNode = Object.entries(nodes).map(
    ([version, node]) =>
      () =>
        attempt(`node:test of Node ${version}`, () =>
          run(join(project, 'node'), node, ['--test', 'node.spec.mjs', 'example.spec.mjs'], {
            env,
            timeout: LONGEST_RUN_MS,
          }),
        ),
  );
  const ofVitest = VITESTS.map(
    (version) => () =>
      attempt(`vitest ${version}`, async () => {
        const folder = join(project, `vitest-${version}`);
        cpSync(files, folder, { recursive: true });
        writeFileSync(join(folder, 'example.spec.mjs'), exampleFor('vitest'));
        manifest(folder, `vitest-${version}`);
        await run(folder, 'npm', ['install', ...quietly, `vitest@${version}`]);
        const args = ['node_modules/vitest/vitest.mjs', 'run', 'vitest.spec.mjs', 'example.spec.mjs'];
        await run(folder, process.execPath, args, { env, timeout: LONGEST_RUN_MS });
      }),
  );
  await forAll([...ofVitest, ...ofNode], AT_ONCE, (test) => test());
  return failures;
}
