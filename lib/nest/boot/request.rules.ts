import 'reflect-metadata';
import type { ModulesContainer } from '@nestjs/core';
import { MESSAGES } from '../shared/dflockd.messages.js';
import type { LockPlan } from '../methods/lock-plan.js';
import { requestPlansOn } from '../requests/request-plans.js';

/** Metadata that does not mark a handler, and that of handlers for which Nest runs no interceptors. */
const SAYS_NOTHING = /^(design:|__(interceptors|guards|pipes|exceptionFilters)__$|swagger\/)/;
const WITHOUT_INTERCEPTORS = /^(SCHEDULE|EVENT_LISTENER_METADATA$|bullmq:|__saga__$)/;
const FIELD = 'graphql:resolve_property';

export interface RequestPlan {
  readonly plan: LockPlan;
  /** Why it could never take its lock. */
  readonly refusal: string | undefined;
}

/** The locks that @LockRequest requests on a class and its methods, including inherited ones. */
export function* requestPlansIn(prototype: object, fieldsAreIntercepted: boolean): Generator<RequestPlan> {
  for (const plan of requestPlansOn(prototype.constructor)) yield { plan, refusal: undefined };
  const known = new Set<string | symbol>();
  for (let p: object | null = prototype; p && p !== Object.prototype; p = Object.getPrototypeOf(p) as object | null) {
    for (const property of Reflect.ownKeys(p)) {
      if (known.has(property)) continue;
      known.add(property);
      const method: unknown = Object.getOwnPropertyDescriptor(p, property)!.value;
      if (typeof method !== 'function') continue;
      for (const plan of requestPlansOn(method)) yield { plan, refusal: refusalOf(plan, method, fieldsAreIntercepted) };
    }
  }
}

function refusalOf({ method }: LockPlan, handler: object, fieldsAreIntercepted: boolean): string | undefined {
  const names = (Reflect.getMetadataKeys(handler) as unknown[]).filter((key) => typeof key === 'string');
  if (names.includes(FIELD)) return fieldsAreIntercepted ? undefined : MESSAGES.fieldResolver(method);
  const telling = names.filter((name) => !SAYS_NOTHING.test(name));
  const handles = telling.some((name) => !WITHOUT_INTERCEPTORS.test(name));
  return handles ? undefined : MESSAGES.noRequest(method);
}

/** Whether GraphQL is configured to run interceptors for fields, which it does not by default. */
export function interceptsFields(modules: ModulesContainer): boolean {
  return [...modules.values()].some(({ providers }) => {
    const options = providers.get('GqlModuleOptions')?.instance as { fieldResolverEnhancers?: string[] } | undefined;
    return options?.fieldResolverEnhancers?.includes('interceptors') ?? false;
  });
}
