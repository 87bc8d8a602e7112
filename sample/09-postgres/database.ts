import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Account } from './account.entity.js';

/** The database of the application. With @nestjs/typeorm, TypeOrmModule provides it. */
@Injectable()
export class Database extends DataSource implements OnModuleInit, OnApplicationShutdown {
  constructor() {
    super({ type: 'postgres', url: process.env.DATABASE_URL!, entities: [Account], synchronize: true });
  }

  async onModuleInit(): Promise<void> {
    await this.initialize();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.destroy();
  }
}
