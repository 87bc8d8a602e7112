import { Inject, Injectable } from '@nestjs/common';
import { ApplicationConfig, ModulesContainer } from '@nestjs/core';
import { named } from '../../common/brand.js';
import { ConfigError } from '../../common/errors.js';
import { shared } from '../../common/shared-state.js';
import { MESSAGES } from '../shared/dflockd.messages.js';
import { moduleRefOf, subjectsOf, type Subject } from './provider-scan.js';
import { refuseImpossible, throwingCronMethods } from './handler.rules.js';
import { answersErrors, hidingGlobally, hidingOn } from './hiding.filters.js';
import { serviceRefOf, lockedMethodsOf, type LockedMethod } from '../methods/locked-method.registry.js';
import type { LockPlan } from '../methods/lock-plan.js';
import { interceptsFields, requestPlansIn } from './request.rules.js';
import { instancesIn, type NestModule } from '../shared/module-info.js';
import type { ServiceRef } from '../methods/service-ref.js';
import { visibleServiceRef } from '../methods/visible-service-ref.js';

/** Applications already explored: each is explored once, whatever the number of its DflockdModules. */
const explored = shared('explored', () => new WeakSet<ModulesContainer>());

/**
 * Scans the application before it starts: connects objects that Nest did not construct (from factories, values, test
 * doubles), and throws for locked methods that could never work.
 */
@Injectable()
export class DflockdExplorer {
  constructor(
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(ApplicationConfig) private readonly config: ApplicationConfig,
  ) {}

  /** @throws ConfigError */
  async explore(warn: (message: string) => void): Promise<void> {
    if (explored.has(this.modules)) return;
    explored.add(this.modules);
    const fieldsAreIntercepted = interceptsFields(this.modules);
    const throwingCron = new Set<string>();
    const hiding = new Set([hidingGlobally(this.config)]);
    for (const module of this.modules.values()) {
      const refs = new Map<string, ServiceRef | undefined>();
      const seen = async (instance: string) => {
        if (!refs.has(instance)) refs.set(instance, await visibleServiceRef(moduleRefOf(module), instance));
        return refs.get(instance);
      };
      for (const subject of subjectsOf(module)) {
        const methods = lockedMethodsOf(subject.prototype);
        for (const method of methods) {
          this.connect(subject, method, await seen(method.plan.instance), module).check(method.plan);
          refuseImpossible(subject.prototype, method);
        }
        for (const { plan, refusal } of requestPlansIn(subject.prototype, fieldsAreIntercepted)) {
          if (refusal) throw new ConfigError(refusal);
          const ref = await seen(plan.instance);
          if (!ref) throw this.unseen(plan, module);
          ref.check(plan);
        }
        hidingOn(subject.prototype, methods).forEach((name) => hiding.add(name));
        throwingCronMethods(subject.prototype, methods).forEach((name) => throwingCron.add(name));
      }
    }
    throwingCron.forEach((name) => warn(MESSAGES.throwingCron(name)));
    const names = [...hiding].filter((name) => name !== undefined);
    if (names.length > 0 && answersErrors(this.modules)) warn(MESSAGES.hiddenFilter(names));
  }

  /** @returns what the method requests for its locks */
  private connect(
    { object }: Subject,
    method: LockedMethod,
    visible: ServiceRef | undefined,
    module: NestModule,
  ): ServiceRef {
    const { plan } = method;
    const own = object && serviceRefOf(object, plan.instance);
    if (own) return own;
    if (!visible) throw this.unseen(plan, module);
    if (object) method.bind(object, visible);
    return visible;
  }

  private unseen({ method, instance }: LockPlan, module: NestModule): ConfigError {
    return new ConfigError(MESSAGES.instanceMissing(method, instance, module.name, instancesIn(this.modules)));
  }
}

named(DflockdExplorer, 'DflockdExplorer');
