import { Controller, Get, Param, ParseIntPipe, Post, Query } from '@nestjs/common';
import { WithLock } from 'nestjs-dflockd';
import { AccountStore } from './account.store.js';

@Controller('accounts/:id')
export class AccountsController {
  constructor(private readonly accounts: AccountStore) {}

  @Get()
  balance(@Param('id') id: string): Promise<number> {
    return this.accounts.balance(id);
  }

  /** One withdrawal from an account at a time, whatever the instance. */
  @Post('withdraw')
  @WithLock('account:{0}')
  async withdraw(@Param('id') id: string, @Query('amount', ParseIntPipe) amount: number): Promise<number> {
    return this.accounts.withdraw(id, amount);
  }

  /** The same without the lock: try what happens. */
  @Post('withdraw-unlocked')
  async withdrawUnlocked(@Param('id') id: string, @Query('amount', ParseIntPipe) amount: number): Promise<number> {
    return this.accounts.withdraw(id, amount);
  }
}
