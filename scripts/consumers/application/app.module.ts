import { Readable } from 'node:stream';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Module,
  Param,
  Post,
  Sse,
  StreamableFile,
  type DynamicModule,
} from '@nestjs/common';
import { Cron, ScheduleModule } from '@nestjs/schedule';
import { CronLock, LockRequest, WithLock } from 'nestjs-dflockd';
import { of, type Observable } from 'rxjs';
import { Journal } from './journal.js';

/**
 * The lock is released when the response has finished, so the next request may reach the daemon before the release. It
 * waits for less than the second after which a response without events counts as finished.
 */
const SOON = { acquireTimeoutS: 0.7 };

@Controller()
export class Orders {
  constructor(@Inject(Journal) private readonly journal: Journal) {}

  @Post('orders/:id/charge')
  @WithLock('order:{0}')
  async charge(@Param('id') id: string): Promise<string> {
    await this.journal.charge(() => new Promise((resolve) => setTimeout(resolve, 50)));
    return `charged ${id}`;
  }

  @WithLock('report', { acquireTimeoutS: 0 })
  @Post('report')
  async report(): Promise<string> {
    return 'done';
  }

  @Get('file')
  @LockRequest(() => 'file', SOON)
  file(): StreamableFile {
    return new StreamableFile(Readable.from(['a', 'b']));
  }

  @Get('export')
  @WithLock('export', SOON)
  async export(): Promise<StreamableFile> {
    return new StreamableFile(Readable.from(['a', 'b']));
  }

  @Sse('feed/:name')
  @WithLock('feed:{0}', { returns: 'observable', acquireTimeoutS: 0.3 })
  feed(@Param('name') _name: string): Observable<{ data: string }> {
    return of({ data: 'first' });
  }
}

@Injectable()
class Jobs {
  constructor(@Inject(Journal) private readonly journal: Journal) {}

  @CronLock('tick', { minHoldS: 0.5 })
  @Cron('* * * * * *')
  async tick(): Promise<void> {
    this.journal.tick(Date.now());
  }
}

/** The application. Each instance has a module of its own. */
export function moduleOf(locks: DynamicModule, journal: Journal): new () => object {
  @Module({
    imports: [ScheduleModule.forRoot(), locks],
    controllers: [Orders],
    providers: [Jobs, { provide: Journal, useValue: journal }],
  })
  class AppModule {}
  return AppModule;
}
