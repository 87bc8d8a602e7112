import { Inject, Injectable, Logger, Optional, type Type } from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { ConfigError } from '../common/errors.js';
import { DEFAULT_INSTANCE, holderToken, LOG_CONTEXT } from './dflockd.constants.js';
import { MESSAGES } from './dflockd.messages.js';
import { refuseImpossible, throwingCronMethods } from './handler.rules.js';
import { holderOf, lockedMethodsOf, type LockedMethod } from './locked-method.registry.js';
import { instancesIn } from './module-info.js';
import { isServiceHolder, type ServiceHolder } from './service-holder.js';

type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;
type Wrapper = NestModule['providers'] extends Map<any, infer W> ? W : never;

/** Applications that have been explored: each is, once, whatever the number of DflockdModules in it. */
const explored = new WeakSet<ModulesContainer>();

/**
 * Looks at everything the application is made of, before it starts: connects the objects that Nest did not construct
 * (factories, values, test doubles), and fails the boot for locked methods that could never work.
 */
@Injectable()
export class DflockdExplorer {
  private readonly warned = new Set<string>();

  constructor(@Inject(ModulesContainer) private readonly modules: ModulesContainer) {}

  /** @throws ConfigError */
  async explore(warn: (message: string) => void): Promise<void> {
    if (explored.has(this.modules)) return;
    explored.add(this.modules);
    for (const module of this.modules.values()) {
      const holders = new Map<string, ServiceHolder | undefined>();
      for (const { prototype, object } of subjectsOf(module)) {
        const methods = lockedMethodsOf(prototype);
        for (const method of methods) {
          const { instance } = method.plan;
          if (!holders.has(instance)) holders.set(instance, await visibleHolder(module, instance));
          const holder = holders.get(instance) ?? (object && holderOf(object, instance));
          if (!holder) throw this.missing(method, module);
          if (object && !holderOf(object, instance)) method.bind(object, holder);
          refuseImpossible(prototype, method);
        }
        this.warnOfCron(prototype, methods, warn);
      }
    }
  }

  private warnOfCron(prototype: object, methods: readonly LockedMethod[], warn: (message: string) => void): void {
    for (const name of throwingCronMethods(prototype, methods)) {
      if (!this.warned.has(name)) warn(MESSAGES.throwingCron(name));
      this.warned.add(name);
    }
  }

  private missing({ plan }: LockedMethod, module: NestModule): ConfigError {
    return new ConfigError(MESSAGES.instanceMissing(plan.method, plan.instance, module.name, instancesIn(this.modules)));
  }
}
