import type { InjectionToken, Type } from '@nestjs/common';
import { shared, sharedSymbol } from '../common/shared-state.js';
import { wrong } from '../common/option-checks.js';
import { DEFAULT_INSTANCE } from './shared/dflockd.constants.js';
import { DflockdService } from './dflockd.service.js';

/**
 * The injection token of an instance's DflockdService, for `inject: [...]` of factories and `overrideProvider` of tests.
 * @param instance as given to `forRoot`
 * @throws ConfigError
 */
export function getDflockdToken(instance: string = DEFAULT_INSTANCE): InjectionToken {
  checkInstance(instance);
  return instance === DEFAULT_INSTANCE ? DflockdService : sharedSymbol(`service:${instance}`);
}

/** @throws ConfigError for what cannot name an instance */
export function checkInstance(instance: unknown): asserts instance is string {
  if (typeof instance !== 'string' || instance === '') throw wrong('instance', 'a name', instance);
}

/** The DflockdService of each copy of this package: a class is asked for by whoever has it, and by no other name. */
export const serviceClasses = shared('service-classes', () => new Set<Type>()).add(DflockdService as Type);
