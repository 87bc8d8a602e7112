import { Controller, Get, Param, ParseIntPipe, Put, Query } from '@nestjs/common';
import { Account } from './account.entity.js';
import { Database } from './database.js';

@Controller('accounts')
export class AccountsController {
  constructor(private readonly database: Database) {}

  @Get()
  all(): Promise<Account[]> {
    return this.database.manager.find(Account, { order: { id: 'asc' } });
  }

  @Put(':id')
  async open(@Param('id') id: string, @Query('balance', ParseIntPipe) balance: number): Promise<void> {
    await this.database.manager.save(Account, { id, balance });
  }
}
