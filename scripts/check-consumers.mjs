// Installs the packed tarball into empty Nest applications, one ESM and one CommonJS, compiles them the way their
// users do and runs them: each takes a lock.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const CONSUMERS = [
  {
    name: 'esm-nest-12',
    type: 'module',
    nest: '12',
    // As `nest new` writes it for Nest 12.
    compiler: { module: 'nodenext', moduleResolution: 'nodenext', target: 'es2023' },
  },
  {
    name: 'cjs-nest-11',
    type: 'commonjs',
    nest: '11',
    // Old resolution: no `exports`, so `types` and `typesVersions` have to do.
    compiler: { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '5.0', target: 'es2021' },
  },
];

const MAIN = `
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DflockdModule, DflockdService, WithLock } from 'nestjs-dflockd';
import { LockClient } from 'nestjs-dflockd/client';
import { DflockdServer } from 'nestjs-dflockd/daemon';

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

@Injectable()
class Counter {
  value = 0;

  @WithLock('counter:{0}')
  async add(_name: string): Promise<void> {
    const before = this.value;
    await pause(2);
    this.value = before + 1;
  }
}

async function main() {
  const server = new DflockdServer({ port: 0 });
  const { host, port } = await server.listen();

  @Module({ imports: [DflockdModule.forRoot({ servers: [[host, port]] })], providers: [Counter] })
  class AppModule {}

  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  const counter = app.get(Counter);
  await Promise.all(Array.from({ length: 20 }, () => counter.add('a')));
  if (counter.value !== 20) throw new Error('lost updates: ' + counter.value);

  const held = await app.get(DflockdService).acquire('report');
  const client = await LockClient.connect({ servers: [[host, port]] });
  if ((await client.tryAcquire('report')) !== null) throw new Error('two holders');
  await held.release();
  const again = await client.tryAcquire('report');
  if (!again?.isHeld) throw new Error('not free after the release');
  await client.close();
  await app.close();
  await server.close();
  console.log('20 locked calls, one holder at a time');
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
`;

/** A program written for dflockd-client: every export of it. */
const DROP_IN = `
import { connect } from 'node:net';
import {
  acquire, AcquireTimeoutError, AuthError, DistributedLock, DistributedSemaphore, enqueue, LockError, publish, release, renew,
  semAcquire, semEnqueue, semRelease, semRenew, semWaitForLock, SignalConnection, stableHashShard, stats, waitForLock,
} from 'nestjs-dflockd/client';
import type {
  DistributedLockOptions, DistributedSemaphoreOptions, ShardingStrategy, Signal, SignalConnectionOptions, Stats, StatsIdleLock,
  StatsIdleSemaphore, StatsLock, StatsSemaphore,
} from 'nestjs-dflockd/client';
import { DflockdServer } from 'nestjs-dflockd/daemon';

async function main() {
  const server = new DflockdServer({ port: 0 });
  const { host, port } = await server.listen();
  const strategy: ShardingStrategy = stableHashShard;
  const options: DistributedLockOptions = { key: 'k', servers: [[host, port]], shardingStrategy: strategy, acquireTimeoutS: 0 };
  const slots: DistributedSemaphoreOptions = { ...options, limit: 1 };
  const lock = new DistributedLock(options);
  const rival = new DistributedLock(options);
  if (!(await lock.acquire()) || (await rival.acquire())) throw new Error('two holders, or none');
  const all: Stats = await stats({ host, port });
  const held: StatsLock[] = all.locks;
  const others: [StatsSemaphore[], StatsIdleLock[], StatsIdleSemaphore[]] = [all.semaphores, all.idle_locks, all.idle_semaphores];
  if (held.length !== 1 || others.some((list) => list.length > 0)) throw new Error('wrong stats');
  await rival.withLock(() => 0).catch((error: unknown) => {
    if (!(error instanceof AcquireTimeoutError && error instanceof LockError) || error instanceof AuthError) throw error;
  });
  await lock.release();
  await new DistributedSemaphore(slots).withLock(async () => undefined);

  const sock = connect(port, host);
  const { token, lease } = await acquire(sock, 'raw', 0, 9);
  if (lease !== 9 || (await renew(sock, 'raw', token, 8)) !== 8) throw new Error('wrong leases');
  await release(sock, 'raw', token);
  await enqueue(sock, 'raw');
  await waitForLock(sock, 'raw', 0);
  const slot = await semAcquire(sock, 'raw', 0, 2);
  await semRenew(sock, 'raw', slot.token);
  await semRelease(sock, 'raw', slot.token);
  await semEnqueue(sock, 'raw', 2);
  await semWaitForLock(sock, 'raw', 0);

  const where: SignalConnectionOptions = { host, port };
  const signals = await SignalConnection.connect(where);
  await signals.listen('a.>');
  const next: Promise<IteratorResult<Signal>> = signals[Symbol.asyncIterator]().next();
  if ((await publish(sock, 'a.b', 'hello')) !== 1) throw new Error('nobody listens');
  if ((await next).value.payload !== 'hello') throw new Error('another signal');
  signals.close();
  sock.destroy();
  await server.close();
  console.log('a program for dflockd-client, unchanged');
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
`;

const run = (cwd, command, args) =>
  execFileSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', timeout: 300_000 });

const work = mkdtempSync(join(tmpdir(), 'dflockd-consumers-'));
try {
  const packed = JSON.parse(run(root, 'npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work]));
  // npm before 12 prints an array, later ones an object by name.
  const [{ filename }] = Array.isArray(packed) ? packed : Object.values(packed);
  for (const { name, type, nest, compiler } of CONSUMERS) {
    const app = join(work, name);
    mkdirSync(app);
    writeFileSync(join(app, 'package.json'), JSON.stringify({ name, version: '1.0.0', private: true, type }));
    writeFileSync(
      join(app, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          ...compiler,
          types: ['node'],
          strict: true,
          experimentalDecorators: true,
          emitDecoratorMetadata: true,
          outDir: 'out',
        },
        include: ['main.ts', 'drop-in.ts'],
      }),
    );
    writeFileSync(join(app, 'main.ts'), MAIN);
    writeFileSync(join(app, 'drop-in.ts'), DROP_IN);
    const packages = ['common', 'core'].map((part) => `@nestjs/${part}@${nest}`);
    run(app, 'npm', [
      'install',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
      join(work, filename),
      ...packages,
      'reflect-metadata',
      'rxjs',
      'typescript@5.9',
      '@types/node@20',
    ]);
    run(app, process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.']);
    const programs = ['main', 'drop-in'].map((program) => run(app, process.execPath, [`out/${program}.js`]).trim());
    const said = programs.join('; ');
    const help = run(app, 'npx', ['nestjs-dflockd', '--help']);
    if (!help.includes('nestjs-dflockd daemon')) throw new Error(`${name}: no help from the command line`);
    console.log(`${name}: ${said}`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
