import type { InjectionToken } from '@nestjs/common';
import { DEFAULT_INSTANCE } from './dflockd.constants.js';
import { DflockdService } from './dflockd.service.js';

/**
 * The injection token of an instance's DflockdService, for `inject: [...]` of factories and `overrideProvider` of tests.
 * @param instance as given to `forRoot`
 */
export function getDflockdToken(instance: string = DEFAULT_INSTANCE): InjectionToken {
  return instance === DEFAULT_INSTANCE ? DflockdService : Symbol.for(`nestjs-dflockd:service:${instance}`);
}
