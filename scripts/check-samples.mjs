// Follows the README and the samples in an empty folder, with the packed tarball: what users copy must work elsewhere.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../test/support/free-port.mjs';
import { run } from './consumers/commands.mjs';
import { pack } from './consumers/pack.mjs';
import { run as runSample } from './samples/run.mjs';
import { check, hasTwoInstances } from './samples/two-instances.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The packages that the samples import, in the versions tested here. */
const PACKAGES = [
  ...['common', 'core', 'platform-express', 'schedule', 'bullmq', 'microservices', 'graphql', 'apollo', 'testing'].map(
    (part) => `@nestjs/${part}`,
  ),
  ...[
    '@apollo/server',
    '@as-integrations/express5',
    'graphql',
    'bullmq',
    'ioredis',
    'pg',
    'typeorm',
    'reflect-metadata',
    'rxjs',
    '@types/node',
  ],
]
  .map((name) => `${name}@${devDependencies[name]}`)
  // Used only by an example in the README.
  .concat('@nestjs/config@12.0.1');

const TSCONFIG = JSON.stringify({
  compilerOptions: {
    module: 'nodenext',
    target: 'es2023',
    types: ['node'],
    strict: true,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    skipLibCheck: true,
    rootDir: '.',
    outDir: 'dist',
  },
  include: ['*.ts'],
});

async function compile(folder) {
  writeFileSync(join(folder, 'tsconfig.json'), TSCONFIG);
  await run(folder, process.execPath, ['../node_modules/typescript/bin/tsc', '-p', '.']);
}

/** The first application of the README, with the daemon in another terminal. */
async function readme(work) {
  const [server, port] = [`127.0.0.1:${await freePort()}`, await freePort()];
  const block = /```ts\n(import 'reflect-metadata';[\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))[1];
  // Replaces only the ports: the default ones may be in use.
  const program = block.replace('127.0.0.1:6388', server).replace('listen(3000)', `listen(${port})`);
  if (program === block) throw new Error('the README has no address and port to replace');
  const folder = join(work, 'readme');
  mkdirSync(folder);
  writeFileSync(join(folder, 'main.ts'), program);
  await compile(folder);
  const daemon = start(folder, [
    '../node_modules/nestjs-dflockd/dist/esm/cli/main.js',
    'daemon',
    '--port',
    server.split(':')[1],
  ]);
  const application = start(folder, ['dist/main.js']);
  try {
    const charge = () => fetch(`http://127.0.0.1:${port}/orders/7/charge`, { method: 'POST' });
    for (let tries = 0; tries < 200 && !(await charge().catch(() => undefined)); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const begun = performance.now();
    const answers = await Promise.all([charge(), charge(), charge()]);
    const took = performance.now() - begun;
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    if (texts.some((text) => text !== 'charged 7') || took < 290) throw new Error(`${texts.join()} in ${took} ms`);
  } finally {
    await stop(application);
    await stop(daemon);
  }
}

/** Options from ConfigService, with a daemon that requires the token from the environment. */
async function configured(work) {
  const [server, token] = [`127.0.0.1:${await freePort()}`, 'a-token-of-this-check'];
  const page = readFileSync(join(root, 'README.md'), 'utf8');
  const block = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].find(([, code]) => code.includes('@nestjs/config'))[1];
  const folder = join(work, 'configured');
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'main.ts'),
    `import 'reflect-metadata';
    import { NestFactory } from '@nestjs/core';
    import { DflockdService } from 'nestjs-dflockd';
    ${block}
    const app = await NestFactory.createApplicationContext(LocksModule, { abortOnError: false });
    const held = await app.get(DflockdService).withLock('configured', async (lock) => lock.isHeld);
    await app.close();
    process.exitCode = held ? 0 : 1;`,
  );
  await compile(folder);
  const flags = ['--port', server.split(':')[1], '--auth-token', token];
  const daemon = start(folder, ['../node_modules/nestjs-dflockd/dist/esm/cli/main.js', 'daemon', ...flags]);
  try {
    const env = { ...process.env, DFLOCKD_SERVERS: server, DFLOCKD_TOKEN: token };
    await run(folder, process.execPath, ['dist/main.js'], { env, timeout: 30_000 });
  } finally {
    await stop(daemon);
  }
}

/** Runs the steps of the Dockerfile in docs/deployment.md, with the tarball instead of the published package. */
async function image(work, tarball) {
  const page = readFileSync(join(root, 'docs/deployment.md'), 'utf8');
  const install = /^RUN npm (install .*) nestjs-dflockd@\$\{VERSION\}/m.exec(page)[1].split(' ');
  const [node, ...entry] = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(page)[1]);
  const folder = join(work, 'image');
  mkdirSync(folder);
  // Without a package.json here, npm would install into the folder above.
  writeFileSync(join(folder, 'package.json'), '{}');
  await run(folder, 'npm', [...install, '--prefer-offline', tarball]);
  const installed = readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'));
  if (installed.join() !== 'nestjs-dflockd') throw new Error(`the image would have ${installed.join()}`);
  return run(folder, node, [...entry, '--version']);
}

const start = (cwd, args) => spawn(process.execPath, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });

async function stop(child) {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function sample(work, name) {
  const folder = join(work, name);
  cpSync(join(root, 'sample', name), folder, { recursive: true, filter: (path) => !path.endsWith('dist') });
  await compile(folder);
  return hasTwoInstances(folder) ? check(folder) : runSample(folder, true);
}

const work = mkdtempSync(join(tmpdir(), 'dflockd-samples-'));
try {
  // Each sample has a project of its own elsewhere; TypeORM does not support the Redis client of the others.
  const overrides = { typeorm: { ioredis: devDependencies['ioredis'] } };
  writeFileSync(
    join(work, 'package.json'),
    JSON.stringify({ name: 'samples', private: true, type: 'module', overrides }),
  );
  const quietly = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
  const tarball = await pack(work);
  await run(work, 'npm', ['install', ...quietly, tarball, ...PACKAGES, 'typescript@5.9']);
  await readme(work);
  console.log('README: the first application, three requests one after the other');
  await configured(work);
  console.log('README: options from ConfigService');
  console.log(`docs/deployment.md: the image has the daemon ${await image(work, tarball)} and nothing else`);
  for (const name of readdirSync(join(root, 'sample')).filter((folder) => /^\d\d-/.test(folder))) {
    console.log(`\n== ${name}`);
    if (!(await sample(work, name))) throw new Error(`sample/${name} has failed`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
