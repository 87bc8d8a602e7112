import { Module } from '@nestjs/common';
import { DflockdModule } from 'nestjs-dflockd';
import { OrdersService } from './orders.service.js';

@Module({
  imports: [DflockdModule.forRoot({ servers: ['locks.example.com:6388'], startup: 'require' })],
  providers: [OrdersService],
})
export class AppModule {}
