import type { InjectionToken, Type } from '@nestjs/common';
import { shared, sharedSymbol } from '../common/shared-state.js';
import { DEFAULT_INSTANCE } from './dflockd.constants.js';
import { DflockdService } from './dflockd.service.js';

/**
 * The injection token of an instance's DflockdService, for `inject: [...]` of factories and `overrideProvider` of tests.
 * @param instance as given to `forRoot`
 */
export function getDflockdToken(instance: string = DEFAULT_INSTANCE): InjectionToken {
  return instance === DEFAULT_INSTANCE ? DflockdService : sharedSymbol(`service:${instance}`);
}

/** The DflockdService of each copy of this package: a class is asked for by whoever has it, and by no other name. */
export const serviceClasses = shared('service-classes', () => new Set<Type>()).add(DflockdService as Type);
