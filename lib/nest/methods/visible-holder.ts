import { Inject, Optional } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import { holderToken } from '../shared/dflockd.constants.js';
import { isServiceHolder, type ServiceHolder } from './service-holder.js';

/** The holder that a class of this module gets injected; undefined if it gets none. Nest itself is asked. */
export async function visibleHolder(
  moduleRef: ModuleRef | undefined,
  instance: string,
): Promise<ServiceHolder | undefined> {
  class Probe {
    declare readonly holder: unknown;
  }
  Inject(holderToken(instance))(Probe.prototype, 'holder');
  Optional()(Probe.prototype, 'holder');
  const probe = await moduleRef?.create(Probe);
  return isServiceHolder(probe?.holder) ? probe.holder : undefined;
}
