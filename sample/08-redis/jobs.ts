import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { Cron } from '@nestjs/schedule';
import { CronLock } from 'nestjs-dflockd';

@Injectable()
export class Jobs {
  /** Every instance has this job; each tick runs on one of them. */
  @Cron('* * * * * *')
  @CronLock('tick', { minHoldS: 0.5 })
  async tick(): Promise<void> {
    const second = Math.round(Date.now() / 1000);
    await appendFile(join(process.env.DATA ?? '.', 'ticks.log'), `${second} ${process.env.INSTANCE}\n`);
  }
}
