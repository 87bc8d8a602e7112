import { setTimeout as pause } from 'node:timers/promises';
import { Controller, Logger, Post } from '@nestjs/common';
import { currentLock, WithLock } from 'nestjs-dflockd';

@Controller('reports')
export class ReportsController {
  private readonly logger = new Logger('Reports');

  /** Long work: a second one is refused at once (423), and it stops when its lock is lost (503). */
  @Post()
  @WithLock('report', { acquireTimeoutS: 0 })
  async create(): Promise<string> {
    this.logger.log('report started');
    for (let page = 0; page < 100; page++) {
      currentLock()?.assertHeld();
      await pause(50);
    }
    return 'done';
  }
}
