import 'reflect-metadata';
import { Inject, Optional } from '@nestjs/common';
import { shared, sharedSymbol } from '../../common/shared-state.js';
import { serviceRefToken, LOCKED_METHODS } from '../shared/dflockd.constants.js';
import type { LockPlan } from './lock-plan.js';
import { isServiceRef, type ServiceRef } from './service-ref.js';

/** What the explorer needs to know about a locked method. */
export interface LockedMethod {
  readonly property: string | symbol;
  readonly plan: LockPlan;
  /** Connects an object that Nest did not construct. */
  bind(self: object, ref: ServiceRef): void;
}

// Objects that the explorer has connected. Nothing is written onto them, since they may be frozen or shared.
const bound = shared('bound', () => new WeakMap<object, Map<string, ServiceRef>>());

function bind(self: object, ref: ServiceRef, instance: string): void {
  for (const object of new Set([self, insideOf(self)])) {
    const refs = bound.get(object) ?? new Map<string, ServiceRef>();
    bound.set(object, refs.set(instance, ref));
  }
}

/** A method of all objects with locked methods. */
const SELF = sharedSymbol('self');

/** What methods of the object see as `this`: its target, if the object is a proxy that calls them on it. */
function insideOf(object: object): object {
  const self = (object as Record<symbol, (() => unknown) | undefined>)[SELF]?.();
  return typeof self === 'object' && self !== null ? self : object;
}

/**
 * Registers a locked method on its prototype and makes Nest inject the service reference into instances of its class.
 */
export function registerLockedMethod(prototype: object, property: string | symbol, plan: LockPlan): void {
  const { instance } = plan;
  const own = (Reflect.getOwnMetadata(LOCKED_METHODS, prototype) ?? []) as readonly LockedMethod[];
  const method: LockedMethod = { property, plan, bind: (self, ref) => bind(self, ref, instance) };
  Reflect.defineMetadata(LOCKED_METHODS, [...own, method], prototype);

  Object.defineProperty(prototype, SELF, {
    configurable: true,
    value(this: unknown) {
      return this;
    },
  });
  const token = serviceRefToken(instance);
  if (token in prototype) return; // A base class, or another method of this one, asks for it.
  // Nest assigns; the setter keeps the property out of users' and tests' spreads, loops and equality checks.
  Object.defineProperty(prototype, token, {
    configurable: true,
    get: () => undefined,
    set(this: object, ref: unknown) {
      if (Object.isExtensible(this)) {
        Object.defineProperty(this, token, { value: ref, writable: true, configurable: true });
      } else if (isServiceRef(ref)) bind(this, ref, instance);
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

/**
 * The service reference that an object was connected to, for an instance of DflockdModule: by injection, or by the
 * explorer.
 */
export function serviceRefOf(self: object, instance: string): ServiceRef | undefined {
  const injected: unknown = (self as Record<symbol, unknown>)[serviceRefToken(instance)];
  return isServiceRef(injected) ? injected : bound.get(self)?.get(instance);
}
