import { Module } from '@nestjs/common';
import { DflockdModule } from 'nestjs-dflockd';
import { StockController } from './stock.controller.js';

@Module({
  imports: [DflockdModule.forRoot({ embedded: true })], // several instances: { servers: ['127.0.0.1:6388'] }
  controllers: [StockController],
})
export class AppModule {}
