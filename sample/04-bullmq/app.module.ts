import { BullModule } from '@nestjs/bullmq';
import { Module } from '@nestjs/common';
import { DflockdModule } from 'nestjs-dflockd';
import { InvoiceProcessor } from './invoice.processor.js';

@Module({
  imports: [
    BullModule.forRoot({ connection: { host: '127.0.0.1', port: Number(process.env.REDIS_PORT ?? 6379) } }),
    BullModule.registerQueue({ name: 'invoices' }),
    DflockdModule.forRoot({ embedded: true }), // several workers: { servers: ['127.0.0.1:6388'] }
  ],
  providers: [InvoiceProcessor],
})
export class AppModule {}
