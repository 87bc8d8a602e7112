import type { CompiledLib } from '../support/compiled-lib.js';

/** The head of a program that is a Nest application; `decorate` does what a compiler makes of decorators, the upper ones first. */
export const nestProgram = (lib: CompiledLib): string => `
  import 'reflect-metadata';
  import { NestFactory } from '@nestjs/core';
  const { DflockdModule, DflockdService, WithLock, CronLock } = await import(${JSON.stringify(lib.url('entries/index.js'))});
  const decorate = (type, method, ...decorators) => {
    const descriptor = Object.getOwnPropertyDescriptor(type.prototype, method);
    for (const decorator of decorators.reverse()) decorator(type.prototype, method, descriptor);
    Object.defineProperty(type.prototype, method, descriptor);
  };
`;
