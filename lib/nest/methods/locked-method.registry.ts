import 'reflect-metadata';
import { Inject, Optional } from '@nestjs/common';
import { shared, sharedSymbol } from '../../common/shared-state.js';
import { holderToken, LOCKED_METHODS } from '../shared/dflockd.constants.js';
import type { LockPlan } from './lock-plan.js';
import { isServiceHolder, type ServiceHolder } from './service-holder.js';

/** What the explorer has to know about a locked method. */
export interface LockedMethod {
  readonly property: string | symbol;
  readonly plan: LockPlan;
  /** Connects an object that Nest did not construct. */
  bind(self: object, holder: ServiceHolder): void;
}

// Objects that the explorer has connected. They may be frozen or shared, so nothing is written onto them.
const bound = shared('bound', () => new WeakMap<object, Map<string, ServiceHolder>>());

function bind(self: object, holder: ServiceHolder, instance: string): void {
  for (const object of new Set([self, insideOf(self)])) {
    const holders = bound.get(object) ?? new Map<string, ServiceHolder>();
    bound.set(object, holders.set(instance, holder));
  }
}

/** A method of all objects with locked methods. */
const SELF = sharedSymbol('self');

/** What methods of the object see as `this`: not the object itself, if that is a proxy which calls them on its target. */
function insideOf(object: object): object {
  const self = (object as Record<symbol, (() => unknown) | undefined>)[SELF]?.();
  return typeof self === 'object' && self !== null ? self : object;
}

/** Notes a locked method on its prototype, and has Nest inject the holder into the objects of its class. */
export function registerLockedMethod(prototype: object, property: string | symbol, plan: LockPlan): void {
  const { instance } = plan;
  const own = (Reflect.getOwnMetadata(LOCKED_METHODS, prototype) ?? []) as readonly LockedMethod[];
  const method: LockedMethod = { property, plan, bind: (self, holder) => bind(self, holder, instance) };
  Reflect.defineMetadata(LOCKED_METHODS, [...own, method], prototype);

  Object.defineProperty(prototype, SELF, {
    configurable: true,
    value(this: unknown) {
      return this;
    },
  });
  const token = holderToken(instance);
  if (token in prototype) return; // A base class, or another method of this one, asks for it.
  // Nest assigns; the setter keeps the property out of spreads, loops and equality checks of users and tests.
  Object.defineProperty(prototype, token, {
    configurable: true,
    get: () => undefined,
    set(this: object, holder: unknown) {
      if (Object.isExtensible(this)) {
        Object.defineProperty(this, token, { value: holder, writable: true, configurable: true });
      } else if (isServiceHolder(holder)) bind(this, holder, instance);
    },
  });
  Inject(token)(prototype, token);
  Optional()(prototype, token);
}

/** All locked methods of a prototype, inherited ones included. */
export function lockedMethodsOf(prototype: object | null): LockedMethod[] {
  const found: LockedMethod[] = [];
  for (let p = prototype; p; p = Object.getPrototypeOf(p) as object | null) {
    found.push(...((Reflect.getOwnMetadata(LOCKED_METHODS, p) ?? []) as LockedMethod[]));
  }
  return found;
}

/** The holder of an instance of DflockdModule that an object was connected to: by injection, or by the explorer. */
export function holderOf(self: object, instance: string): ServiceHolder | undefined {
  const injected: unknown = (self as Record<symbol, unknown>)[holderToken(instance)];
  return isServiceHolder(injected) ? injected : bound.get(self)?.get(instance);
}
