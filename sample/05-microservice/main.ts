import { NestFactory } from '@nestjs/core';
import { Transport } from '@nestjs/microservices';
import { AppModule } from './app.module.js';

const options = { host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) };
const app = await NestFactory.createMicroservice(AppModule, { transport: Transport.TCP, options });
app.enableShutdownHooks();
await app.listen();
