import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';

/** In place of a database without transactions. */
@Injectable()
export class Bank {
  private readonly balances = new Map<string, number>();

  async read(account: string): Promise<number> {
    await pause(2);
    return this.balances.get(account) ?? 100;
  }

  async write(account: string, balance: number): Promise<void> {
    await pause(2);
    this.balances.set(account, balance);
  }
}
