import { getQueueToken } from '@nestjs/bullmq';
import { NestFactory } from '@nestjs/core';
import type { Queue } from 'bullmq';
import { AppModule } from './app.module.js';
import type { Invoice } from './invoice.processor.js';

const app = await NestFactory.createApplicationContext(AppModule);
app.enableShutdownHooks();
const queue = app.get<Queue<Invoice>>(getQueueToken('invoices'));
for (let i = 0; i < 20; i++) await queue.add('invoice', { customer: i % 2 ? 'ann' : 'bob' });
