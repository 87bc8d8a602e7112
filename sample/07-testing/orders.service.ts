import { Injectable } from '@nestjs/common';
import { CronLock, currentLock, WithLock } from 'nestjs-dflockd';

/** What is tested. */
@Injectable()
export class OrdersService {
  readonly log: string[] = [];

  @WithLock('order:{0}', { acquireTimeoutS: 5 })
  async charge(id: string): Promise<string> {
    this.log.push(`charging ${id}`);
    return `charged ${id}`;
  }

  /** Works until it is done, or has lost its lock. */
  @WithLock('export')
  async export(): Promise<void> {
    const { signal } = currentLock()!;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    this.log.push('export stopped');
  }

  @CronLock('nightly', { minHoldS: 30 })
  async nightly(): Promise<void> {
    this.log.push('nightly');
  }
}
