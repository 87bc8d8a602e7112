import { Controller, ParseIntPipe, Post, Query } from '@nestjs/common';
import { TransfersService } from './transfers.service.js';

@Controller('transfers')
export class TransfersController {
  constructor(private readonly transfers: TransfersService) {}

  @Post('in-transaction')
  inTransaction(
    @Query('from') from: string,
    @Query('to') to: string,
    @Query('amount', ParseIntPipe) amount: number,
  ): Promise<void> {
    return this.transfers.inTransaction(from, to, amount);
  }

  @Post('under-lock')
  underLock(
    @Query('from') from: string,
    @Query('to') to: string,
    @Query('amount', ParseIntPipe) amount: number,
  ): Promise<void> {
    return this.transfers.underLock(from, to, amount);
  }

  @Post('in-wrong-order')
  inWrongOrder(
    @Query('from') from: string,
    @Query('to') to: string,
    @Query('amount', ParseIntPipe) amount: number,
  ): Promise<void> {
    return this.transfers.inWrongOrder(from, to, amount);
  }
}
