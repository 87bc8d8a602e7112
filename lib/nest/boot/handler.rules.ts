import 'reflect-metadata';
import { ConfigError } from '../../common/errors.js';
import { MESSAGES } from '../shared/dflockd.messages.js';
import type { LockedMethod } from '../methods/locked-method.registry.js';
import { isSse } from '../methods/method-metadata.js';

/**
 * Metadata that Nest and @nestjs/schedule store on handlers. The names are the same in all supported versions, but not
 * exported in all of them.
 */
const NEST = {
  routeArguments: '__routeArguments__',
  responsePassthrough: '__responsePassthrough__',
  /** `@Res()` among the kinds of route arguments. */
  response: '1:',
  cron: 'SCHEDULE_CRON_OPTIONS',
};

/**
 * Checks what else is applied to a locked method.
 * @throws ConfigError for combinations that cannot work
 */
export function refuseImpossible(prototype: object, { property, plan }: LockedMethod): void {
  const handler = methodOf(prototype, property);
  if (!handler) return;
  if (plan.returns === 'promise' && isSse(handler)) throw new ConfigError(MESSAGES.lockOnSse(plan.method));
  if (plan.onBusy === 'skip' && answersItself(prototype, property)) {
    throw new ConfigError(MESSAGES.skipOnResponse(plan.method));
  }
}

/** Names of the `@Cron` methods whose lock throws when it is busy. */
export const throwingCronMethods = (prototype: object, methods: readonly LockedMethod[]): string[] =>
  methods
    .filter(({ plan }) => plan.onBusy === 'throw')
    .filter(({ property }) => {
      const handler = methodOf(prototype, property);
      return handler !== undefined && Reflect.hasMetadata(NEST.cron, handler);
    })
    .map(({ plan }) => plan.method);

function answersItself(prototype: object, property: string | symbol): boolean {
  const { constructor } = prototype;
  const given = (Reflect.getMetadata(NEST.routeArguments, constructor, property) ?? {}) as object;
  return (
    Object.keys(given).some((kind) => kind.startsWith(NEST.response)) &&
    !Reflect.getMetadata(NEST.responsePassthrough, constructor, property)
  );
}

/** The function that a call of the property runs; accessors are not read. */
export function methodOf(prototype: object, property: string | symbol): object | undefined {
  for (let p: object | null = prototype; p; p = Object.getPrototypeOf(p) as object | null) {
    const descriptor = Object.getOwnPropertyDescriptor(p, property);
    if (descriptor) return typeof descriptor.value === 'function' ? (descriptor.value as object) : undefined;
  }
  return undefined;
}
