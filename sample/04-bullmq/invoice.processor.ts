import { setTimeout as pause } from 'node:timers/promises';
import { Processor, WorkerHost } from '@nestjs/bullmq';
import { Logger } from '@nestjs/common';
import type { Job } from 'bullmq';
import { WithLock } from 'nestjs-dflockd';

export interface Invoice {
  customer: string;
}

/** Many jobs at a time, but of each customer only one: invoices have consecutive numbers. */
@Processor('invoices', { concurrency: 10 })
export class InvoiceProcessor extends WorkerHost {
  private readonly logger = new Logger('Invoices');
  private readonly last = new Map<string, number>();

  @WithLock('customer:{0.data.customer}', { acquireTimeoutS: 30 })
  override async process({ data: { customer } }: Job<Invoice>): Promise<number> {
    const number = (this.last.get(customer) ?? 0) + 1;
    await pause(20);
    this.last.set(customer, number);
    this.logger.log(`${customer} ${number}`);
    return number;
  }
}
