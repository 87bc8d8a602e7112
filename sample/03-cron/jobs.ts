import { Injectable } from '@nestjs/common';
import { Cron, CronExpression } from '@nestjs/schedule';
import { CronLock, currentLock } from 'nestjs-dflockd';

/** Longer than the clocks of the instances differ, shorter than the time between two ticks. */
export const MIN_HOLD_S = 0.5;

@Injectable()
export class Jobs {
  /** One instance per tick. */
  @Cron(CronExpression.EVERY_SECOND)
  @CronLock('tick', { minHoldS: MIN_HOLD_S })
  async tick(): Promise<void> {
    console.log(`tick ${Math.round(Date.now() / 1000)}`);
  }

  /** Long work stops when its lock is lost: another instance may be at it by then. */
  @Cron(CronExpression.EVERY_DAY_AT_3AM)
  @CronLock('nightly', { minHoldS: 30 })
  async nightly(): Promise<void> {
    for (let part = 0; part < 1000; part++) {
      currentLock()?.assertHeld();
      await this.process(part);
    }
  }

  private async process(_part: number): Promise<void> {}
}
