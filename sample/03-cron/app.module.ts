import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { DflockdModule } from 'nestjs-dflockd';
import { Jobs } from './jobs.js';

@Module({
  imports: [
    ScheduleModule.forRoot(),
    DflockdModule.forRoot({ servers: [process.env.LOCK_SERVER ?? '127.0.0.1:6388'] }),
  ],
  providers: [Jobs],
})
export class AppModule {}
