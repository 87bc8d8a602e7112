import { Inject, Optional } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import { serviceRefToken } from '../shared/dflockd.constants.js';
import { isServiceRef, type ServiceRef } from './service-ref.js';

/** The service reference that Nest injects into a class of this module, resolved by Nest itself; undefined if none. */
export async function visibleServiceRef(
  moduleRef: ModuleRef | undefined,
  instance: string,
): Promise<ServiceRef | undefined> {
  class Probe {
    declare readonly ref: unknown;
  }
  Inject(serviceRefToken(instance))(Probe.prototype, 'ref');
  Optional()(Probe.prototype, 'ref');
  const probe = await moduleRef?.create(Probe);
  return isServiceRef(probe?.ref) ? probe.ref : undefined;
}
