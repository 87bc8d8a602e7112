// Installs the packed tarball into Nest applications, compiles them the way their users do and runs them: 12 combinations
// of Nest, module system, platform and Node, with `--all` all 36. Compiles a user's code against its declarations with old
// and new compilers, with `--all` with every one. Builds and tests projects as the command line of Nest makes them, and runs a
// minified bundle.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runBundle } from './consumers/bundle.mjs';
import { combinationsOf, nests, NODES } from './consumers/combinations.mjs';
import { forAll, run } from './consumers/commands.mjs';
import { checkDeclarations, installCompilers } from './consumers/declarations.mjs';
import { checkGenerated } from './consumers/generated.mjs';
import { runObserved } from './consumers/observe.mjs';
import { pack } from './consumers/pack.mjs';
import { makeProject, runTwoCopies } from './consumers/project.mjs';
import { checkTestRunners } from './consumers/test-runners.mjs';

const all = process.argv.includes('--all');
/** One takes a few seconds, most of them waiting for the next tick of a cron job. */
const AT_ONCE = 2;
const LONGEST_RUN_MS = 60_000;

/** The registry has the binaries, too. */
async function nodeBinary(version) {
  if (process.versions.node.startsWith(`${version}.`)) return process.execPath;
  const print = ['-y', '-p', `node@${version}`, 'node', '-p', 'process.version + " " + process.execPath'];
  const [found, path] = (await run(work, 'npx', print)).split(' ');
  if (!found.startsWith(`v${version}.`)) throw new Error(`asked for Node ${version}, got ${found}`);
  return path;
}

const work = mkdtempSync(join(tmpdir(), 'dflockd-consumers-'));
try {
  const tarball = await pack(work);
  const binaries = {};
  for (const version of NODES) binaries[version] = await nodeBinary(version);

  const compilers = await installCompilers(work, all);
  const failures = await checkTestRunners(work, tarball, binaries);
  for (const versions of nests) {
    const project = await makeProject(work, tarball, versions);
    await forAll(combinationsOf(versions, all), AT_ONCE, async ({ nest, system, platform, node }) => {
      const name = `Nest ${nest}, ${system}, ${platform}, Node ${node}`;
      const env = { NEST: nest, PLATFORM: platform, NO_COLOR: '1' };
      try {
        const said = [];
        for (const program of ['main', 'drop-in', 'filters']) {
          const folder = join(project, system);
          said.push(await run(folder, binaries[node], [`out/${program}.js`], { env, timeout: LONGEST_RUN_MS }));
        }
        await run(join(project, system), binaries[node], ['out/backend.js'], { env, timeout: LONGEST_RUN_MS });
        said.push('a backend passes the exported tests');
        console.log(`${name}: ${said.join('; ')}`);
      } catch (error) {
        failures.push(name);
        console.error(`${name}: ${error.message}`);
      }
    });
    try {
      console.log(`Nest ${versions.nest}, two copies under tsx: ${await runTwoCopies(project, process.execPath)}`);
    } catch (error) {
      failures.push(`Nest ${versions.nest}, two copies`);
      console.error(error.message);
    }
    for (const failure of await checkDeclarations(project, versions.nest, compilers, all)) {
      failures.push(failure.split('\n')[0]);
      console.error(failure);
    }
    // There is none for Nest 10.
    if (Number(versions.nest) < 11) continue;
    try {
      console.log(`Nest ${versions.nest}, NestJS Observe: ${await runObserved(project, process.execPath)}`);
    } catch (error) {
      failures.push(`Nest ${versions.nest}, NestJS Observe`);
      console.error(error.message);
    }
  }
  const others = [
    ['a project of the command line 11, ts-jest', () => checkGenerated(work, tarball, '11')],
    ['a project of the command line 12, vitest', () => checkGenerated(work, tarball, '12')],
    ['Nest 12, bundled and minified', () => runBundle(work, tarball, '12')],
  ];
  await forAll(others, AT_ONCE, async ([name, check]) => {
    try {
      console.log(`${name}: ${await check()}`);
    } catch (error) {
      failures.push(name);
      console.error(`${name}: ${error.message}`);
    }
  });
  if (failures.length > 0) throw new Error(`failed: ${failures.join('; ')}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
