import type { InjectionToken, Type } from '@nestjs/common';
import { shared, sharedSymbol } from '../common/shared-state.js';
import { wrong } from '../common/option-checks.js';
import { DEFAULT_INSTANCE } from './shared/dflockd.constants.js';
import { DflockdService } from './dflockd.service.js';

/**
 * The injection token of an instance's DflockdService, for a factory's `inject: [...]` and for `overrideProvider` in
 * tests.
 * @param instance as given to `forRoot`
 * @throws ConfigError
 */
export function getDflockdToken(instance: string = DEFAULT_INSTANCE): InjectionToken {
  checkInstance(instance);
  return instance === DEFAULT_INSTANCE ? DflockdService : sharedSymbol(`service:${instance}`);
}

/** @throws ConfigError for a value that cannot name an instance */
export function checkInstance(instance: unknown): asserts instance is string {
  if (typeof instance !== 'string' || instance === '') throw wrong('instance', 'a name', instance);
}

/** The DflockdService class of each copy of this package: users inject the class of the copy that they import. */
export const serviceClasses = shared('service-classes', () => new Set<Type>()).add(DflockdService as Type);
