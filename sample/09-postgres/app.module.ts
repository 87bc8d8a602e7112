import { Module } from '@nestjs/common';
import { DflockdModule } from 'nestjs-dflockd';
import { postgresBackend } from 'nestjs-dflockd/postgres';
import { NAMESPACE } from './app.constants.js';
import { AccountsController } from './accounts.controller.js';
import { Database } from './database.js';
import { TransfersController } from './transfers.controller.js';
import { TransfersService } from './transfers.service.js';

@Module({
  imports: [
    // It makes connections of its own: those of TypeORM are never used.
    DflockdModule.forRoot({ backend: postgresBackend(process.env.DATABASE_URL), namespace: NAMESPACE }),
  ],
  controllers: [AccountsController, TransfersController],
  providers: [Database, TransfersService],
})
export class AppModule {}
