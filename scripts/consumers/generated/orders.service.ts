import { Injectable } from '@nestjs/common';
import { AuditedLock, OrderLock } from './order-lock.decorator.js';

@Injectable()
export class OrdersService {
  private readonly busy = new Set<string>();

  @OrderLock()
  async ship(id: string): Promise<string> {
    return this.alone(id, 'shipped');
  }

  @AuditedLock()
  async cancel(id: string): Promise<string> {
    return this.alone(id, 'cancelled');
  }

  private async alone(id: string, done: string): Promise<string> {
    if (this.busy.has(id)) throw new Error(`two work on order ${id}`);
    this.busy.add(id);
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.busy.delete(id);
    return `${done} ${id}`;
  }
}
