import { Module } from '@nestjs/common';
import { DflockdModule } from 'nestjs-dflockd';
import { Bank } from './bank.js';
import { ImportsController } from './imports.controller.js';
import { TransfersController } from './transfers.controller.js';

@Module({
  imports: [DflockdModule.forRoot({ embedded: true })], // several instances: { servers: ['127.0.0.1:6388'] }
  controllers: [TransfersController, ImportsController],
  providers: [Bank],
})
export class AppModule {}
