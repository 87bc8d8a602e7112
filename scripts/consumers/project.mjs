// A consumer's project: one installation per Nest, with the application compiled for both module systems.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './commands.mjs';

const application = fileURLToPath(new URL('application', import.meta.url));
const copies = fileURLToPath(new URL('copies', import.meta.url));
const backend = fileURLToPath(new URL('../../test/support/memory-backend.ts', import.meta.url));

/** A third-party backend, with the exported tests. */
export const BACKEND_FILES = {
  'memory-backend.ts': readFileSync(backend, 'utf8').replace('../../lib/entries/client.js', 'nestjs-dflockd/client'),
  'backend.ts': `
    import { describe, it } from 'node:test';
    import { describeBackend } from 'nestjs-dflockd/testing/backend';
    import { memoryBackend } from './memory-backend.js';

    describeBackend({ describe, it }, 'memory', () => ({ connect: memoryBackend() }));
  `,
};

const json = (path, value) => writeFileSync(path, JSON.stringify(value));

/** As in `nest new`: for ESM, and for CommonJS before and since Nest 12, whose own packages are ESM. */
function compilerFor(system, nest) {
  if (system === 'esm' || nest === '12') return { module: 'nodenext', moduleResolution: 'nodenext', target: 'es2023' };
  // Old resolution ignores `exports` and uses `types` and `typesVersions`.
  return { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '5.0', target: 'es2021' };
}

/** @returns the folder; its `esm` and `cjs` have `out/main.js`, `out/drop-in.js` and `out/backend.js` */
export async function makeProject(work, tarball, { nest, schedule }) {
  const project = join(work, `nest-${nest}`);
  mkdirSync(project);
  json(join(project, 'package.json'), { name: 'consumer', version: '1.0.0', private: true });
  const parts = ['common', 'core', 'platform-express', 'platform-fastify'].map((part) => `@nestjs/${part}@${nest}`);
  const others = [
    `@nestjs/schedule@${schedule}`,
    'reflect-metadata',
    'rxjs',
    'typescript@5.9',
    '@types/node@20',
    'tsx@4',
  ];
  // Version 5 of that package needs Node 24.
  const serverless = ['@codegenie/serverless-express@4', '@fastify/aws-lambda@6'];
  const quietly = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
  await run(project, 'npm', ['install', ...quietly, tarball, ...parts, ...others, ...serverless]);
  const help = await run(project, 'npx', ['nestjs-dflockd', '--help']);
  if (!help.includes('nestjs-dflockd daemon')) throw new Error(`Nest ${nest}: no help from the command line`);
  for (const system of ['esm', 'cjs']) await compile(join(project, system), system, nest);
  return project;
}

/** An ESM application with a CommonJS library under tsx, each of which loads its own build. @returns what it printed */
export async function runTwoCopies(project, node) {
  const folder = join(project, 'copies');
  cpSync(copies, folder, { recursive: true });
  const compilerOptions = { module: 'nodenext', experimentalDecorators: true, emitDecoratorMetadata: true };
  json(join(folder, 'tsconfig.json'), { compilerOptions });
  return run(folder, node, ['--import', 'tsx', 'main.mts'], { env: { NO_COLOR: '1' }, timeout: 60_000 });
}

async function compile(folder, system, nest) {
  cpSync(application, folder, { recursive: true });
  for (const [name, text] of Object.entries(BACKEND_FILES)) writeFileSync(join(folder, name), text);
  json(join(folder, 'package.json'), { type: system === 'esm' ? 'module' : 'commonjs' });
  json(join(folder, 'tsconfig.json'), {
    compilerOptions: {
      ...compilerFor(system, nest),
      types: ['node'],
      strict: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      // The declarations of Nest's own packages are not under test.
      skipLibCheck: true,
      outDir: 'out',
    },
    include: ['*.ts'],
  });
  await run(folder, process.execPath, ['../node_modules/typescript/bin/tsc', '-p', '.']);
}
