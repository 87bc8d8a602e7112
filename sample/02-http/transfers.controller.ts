import { Body, Controller, Get, Param, Post } from '@nestjs/common';
import { WithLock } from 'nestjs-dflockd';
import { Bank } from './bank.js';

interface Transfer {
  from: string;
  to: string;
  amount: number;
}

@Controller()
export class TransfersController {
  constructor(private readonly bank: Bank) {}

  /** Both accounts or none, and in one order everywhere: transfers back and forth do not wait for each other in a circle. */
  @Post('transfers')
  @WithLock(['account:{0.from}', 'account:{0.to}'], { acquireTimeoutS: 5 })
  async transfer(@Body() { from, to, amount }: Transfer): Promise<void> {
    await this.bank.write(from, (await this.bank.read(from)) - amount);
    await this.bank.write(to, (await this.bank.read(to)) + amount);
  }

  @Get('accounts/:id')
  balance(@Param('id') id: string): Promise<number> {
    return this.bank.read(id);
  }
}
