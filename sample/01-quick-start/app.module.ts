import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { DflockdModule } from 'nestjs-dflockd';
import { AccountsController } from './accounts.controller.js';
import { AccountStore } from './account.store.js';
import { Jobs } from './jobs.js';
import { ReportsController } from './reports.controller.js';

const { LOCK_LISTEN, LOCK_SERVER } = process.env;

@Module({
  imports: [
    ScheduleModule.forRoot(),
    // One process brings the lock daemon along, the others connect to it.
    DflockdModule.forRoot(
      LOCK_LISTEN ? { embedded: { listen: LOCK_LISTEN } } : { servers: [LOCK_SERVER ?? '127.0.0.1:6388'] },
    ),
  ],
  controllers: [AccountsController, ReportsController],
  providers: [AccountStore, Jobs],
})
export class AppModule {}
