import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { Redis } from 'ioredis';
import { DflockdModule } from 'nestjs-dflockd';
import { redisBackend } from 'nestjs-dflockd/redis';
import { AccountsController } from './accounts.controller.js';
import { AccountStore } from './account.store.js';
import { Jobs } from './jobs.js';
import { ReportsController } from './reports.controller.js';

/** The client of the application. The backend makes connections of its own with its settings, and never uses it. */
const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', { lazyConnect: true });

@Module({
  imports: [
    ScheduleModule.forRoot(),
    DflockdModule.forRoot({
      backend: redisBackend(redis, { watch: true }), // a holder hears at once that somebody deleted its key
      leaseTtlS: 2, // short, so that the tour sees a loss soon: keys are watched from their first renewal on
      namespace: 'sample-08',
    }),
  ],
  controllers: [AccountsController, ReportsController],
  providers: [AccountStore, Jobs],
})
export class AppModule {}
