import type { InjectionToken } from '@nestjs/common';
import { wrong } from '../locks/option-checks.js';
import { DEFAULT_INSTANCE } from './dflockd.constants.js';
import { DflockdService } from './dflockd.service.js';

/**
 * The injection token of an instance's DflockdService, for `inject: [...]` of factories and `overrideProvider` of tests.
 * @param instance as given to `forRoot`
 * @throws ConfigError
 */
export function getDflockdToken(instance: string = DEFAULT_INSTANCE): InjectionToken {
  checkInstance(instance);
  return instance === DEFAULT_INSTANCE ? DflockdService : Symbol.for(`nestjs-dflockd:service:${instance}`);
}

/** @throws ConfigError for what cannot name an instance */
export function checkInstance(instance: unknown): asserts instance is string {
  if (typeof instance !== 'string' || instance === '') throw wrong('instance', 'a name', instance);
}
