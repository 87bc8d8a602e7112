// What every consumer runs: two instances of an application on one daemon, checked from outside.
import 'reflect-metadata';
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { AcquireTimeoutError, DflockdModule } from 'nestjs-dflockd';
import { LockClient } from 'nestjs-dflockd/client';
import { DflockdServer } from 'nestjs-dflockd/daemon';
import { TestLocks } from 'nestjs-dflockd/testing';
import { moduleOf, Orders } from './app.module.js';
import { Journal } from './journal.js';
import { withoutSockets } from './serverless.js';

const { NEST, PLATFORM } = process.env;

async function start(server: readonly [string, number], journal: Journal) {
  const adapter = PLATFORM === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
  const app = await NestFactory.create<any>(moduleOf(DflockdModule.forRoot({ servers: [server] }), journal), adapter, {
    logger: ['warn'],
    abortOnError: false,
  });
  app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  return { app, url: (await app.getUrl()) as string };
}

/** Two requests at once, one to each instance, run one after the other. */
async function requests(urls: readonly string[], journal: Journal): Promise<void> {
  const answers = await Promise.all(urls.map((url) => fetch(`${url}/orders/7/charge`, { method: 'POST' })));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [201, 201],
  );
  assert.equal(journal.charges, 2);
  assert.equal(journal.mostAtOnce, 1);
}

async function busyLock(url: string, locks: LockClient): Promise<void> {
  const held = await locks.acquire('report');
  const busy = await fetch(`${url}/report`, { method: 'POST' });
  const text = await busy.text();
  assert.equal(busy.status, 423);
  assert.equal(busy.headers.get('retry-after'), '1');
  assert.equal((JSON.parse(text) as { code: string }).code, 'ACQUIRE_TIMEOUT');
  assert.ok(!text.includes('report'), text);
  await held.release();
  assert.equal((await fetch(`${url}/report`, { method: 'POST' })).status, 201);
}

/** Each tick runs on one of the two instances. */
async function cronTicks(journal: Journal): Promise<void> {
  while (journal.ticks.length < 2) await once(journal, 'tick');
  const seconds = journal.ticks.map((tick) => Math.round(tick / 1000));
  assert.equal(new Set(seconds).size, seconds.length, `ticks ${String(journal.ticks)}`);
}

/** The headers have been sent by the time the lock turns out to be busy: an event reports it. */
async function busyStream(url: string, locks: LockClient): Promise<void> {
  const held = await locks.acquire('feed:news');
  const answer = await fetch(`${url}/feed/news`);
  const events = await answer.text();
  assert.equal(answer.status, 200);
  assert.match(events, /^event: error$/m);
  const data = /^data: (.*)$/m.exec(events)?.[1] ?? '';
  // Nest 10 sends the message of any error.
  assert.equal(data.includes('feed:news'), Number(NEST) < 11, events);
  await held.release();
  assert.match(await (await fetch(`${url}/feed/news`)).text(), /^data: first$/m);
}

/** Runs the same application as a test would. */
async function withoutServer(): Promise<void> {
  const locks = new TestLocks();
  const app = await NestFactory.createApplicationContext(moduleOf(locks.module(), new Journal()), { logger: ['warn'] });
  const held = await locks.occupy('report');
  await assert.rejects(app.get(Orders).report(), AcquireTimeoutError);
  await held.release();
  assert.equal(await app.get(Orders).report(), 'done');
  await app.close();
}

async function main(): Promise<void> {
  const server = new DflockdServer({ port: 0 });
  const { host, port } = await server.listen();
  const journal = new Journal();
  const instances = [await start([host, port], journal), await start([host, port], journal)];
  const urls = instances.map(({ url }) => url);
  const locks = await LockClient.connect({ servers: [[host, port]] });

  await requests(urls, journal);
  await busyLock(urls[0]!, locks);
  await busyStream(urls[1]!, locks);
  await withoutSockets(instances[0]!.app, PLATFORM);
  await cronTicks(journal);

  await withoutServer();

  await locks.close();
  for (const { app } of instances) await app.close();
  await server.close();
  // With nothing left open, the process exits by itself, which its parent waits for.
  console.log(`${process.version}: all as it should be`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
