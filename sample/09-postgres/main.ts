import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create(AppModule);
  app.enableShutdownHooks(); // Locks are given back when the process is asked to end.
  await app.listen(process.env.PORT ?? 3000);
}

void bootstrap();
