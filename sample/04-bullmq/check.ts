import { strict as assert } from 'node:assert';
import { getQueueToken } from '@nestjs/bullmq';
import { NestFactory } from '@nestjs/core';
import { QueueEvents, type Queue } from 'bullmq';
import { AppModule } from './app.module.js';
import type { Invoice } from './invoice.processor.js';

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['warn', 'error'] });
const queue = app.get<Queue<Invoice, number>>(getQueueToken('invoices'));
const events = new QueueEvents('invoices', { connection: queue.opts.connection });
await events.waitUntilReady();

const jobs = await queue.addBulk(
  Array.from({ length: 8 }, (_, i) => ({ name: 'invoice', data: { customer: i % 2 ? 'ann' : 'bob' } })),
);
const numbers = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 20_000)));
for (const odd of [0, 1]) {
  const its = numbers.filter((_, i) => i % 2 === odd);
  assert.deepEqual(
    its.sort((a, b) => a - b),
    Array.from({ length: 4 }, (_, i) => i + 1),
  );
}
console.log('8 jobs for two customers at once: every number once');
await events.close();
await app.close();
