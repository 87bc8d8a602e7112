import { setTimeout as pause } from 'node:timers/promises';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { WithLock } from 'nestjs-dflockd';

interface Reservation {
  article: string;
  count: number;
}

@Controller()
export class StockController {
  private stock = 10;
  private counts = 0;

  /** One reservation of an article at a time. */
  @MessagePattern('reserve')
  @WithLock('article:{0.article}')
  async reserve(@Payload() { count }: Reservation): Promise<boolean> {
    const left = this.stock - count;
    await pause(5);
    if (left < 0) return false;
    this.stock = left;
    return true;
  }

  /** An event that comes while its work is being done already is dropped. */
  @EventPattern('count')
  @WithLock('count', { onBusy: 'skip' })
  async count(@Payload() _event: object): Promise<void> {
    await pause(200);
    this.counts++;
  }

  @MessagePattern('counts')
  async counted(): Promise<number> {
    return this.counts;
  }

  /** Busy: the client gets { status: 'error', message, code: 'ACQUIRE_TIMEOUT' }. */
  @MessagePattern('audit')
  @WithLock('audit', { acquireTimeoutS: 0 })
  async audit(): Promise<string> {
    await pause(200);
    return 'audited';
  }
}
