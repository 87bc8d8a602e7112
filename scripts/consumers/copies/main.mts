// An ESM application with a CommonJS library, run by tsx, which loads a separate build of the package for each.
import 'reflect-metadata';
import { strict as assert } from 'node:assert';
import { createRequire } from 'node:module';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AcquireTimeoutError, currentLock, DflockdModule, DflockdService, LockError } from 'nestjs-dflockd';
import type * as Library from './library.cjs';

// With `import`, Node 20 does not let tsx compile it.
const { CommonJsLockError, Jobs } = createRequire(import.meta.url)('./library.cjs') as typeof Library;

@Module({ imports: [DflockdModule.forRoot({ embedded: true })], providers: [Jobs] })
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
const jobs = app.get(Jobs);
assert.notEqual(CommonJsLockError, LockError, 'there is only one copy: this proves nothing');

const held = await app.get(DflockdService).acquire('job');
assert.equal(await jobs.skips(), undefined);
await jobs.ticks();
assert.equal(jobs.runs, 0);
const error: unknown = await jobs.throws().catch((e: unknown) => e);
assert.ok(error instanceof AcquireTimeoutError && error instanceof CommonJsLockError, String(error));
await held.release();
assert.equal(await jobs.skips(), 1);
assert.equal(await jobs.current(), 'other');
assert.equal(currentLock(), undefined);
await app.close();
console.log('two copies work as one');
