import { ModuleRef } from '@nestjs/core';
import type { NestModule, NestWrapper } from '../shared/module-info.js';

/** Something in a module that may have locked methods. */
export interface Subject {
  readonly prototype: object;
  /** Undefined for what is made per request or per user: Nest injects each of those. */
  readonly object: object | undefined;
}

export function* subjectsOf(module: NestModule): Generator<Subject> {
  for (const wrappers of [module.providers, module.controllers, module.injectables, module.middlewares]) {
    for (const wrapper of wrappers.values() as Iterable<NestWrapper>) {
      const subject = wrapper.isAlias ? undefined : subjectOf(wrapper);
      if (subject) yield subject;
    }
  }
}

function subjectOf(wrapper: NestWrapper): Subject | undefined {
  if (wrapper.isDependencyTreeStatic()) {
    const object: unknown = wrapper.instance;
    // Of transient classes Nest keeps one, too, and has routes call it.
    if (typeof object === 'object' && object !== null) {
      const prototype = Object.getPrototypeOf(object) as object | null;
      return prototype ? { prototype, object } : undefined;
    }
    if (!wrapper.isTransient) return undefined;
  }
  // What a factory makes per request is known to nobody before it is called.
  const { metatype, inject } = wrapper;
  const prototype: unknown = typeof metatype === 'function' && !inject ? metatype.prototype : undefined;
  return typeof prototype === 'object' && prototype !== null ? { prototype, object: undefined } : undefined;
}

export const moduleRefOf = (module: NestModule): ModuleRef | undefined =>
  module.providers.get(ModuleRef)?.instance as ModuleRef | undefined;
