import { ModuleRef } from '@nestjs/core';
import type { NestModule, NestWrapper } from '../shared/module-info.js';

/** A provider or controller that may have locked methods. */
export interface Subject {
  readonly prototype: object;
  /** Undefined for request-scoped and transient providers: Nest injects into each of their instances. */
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
    // Of a transient class Nest keeps one instance too, and routes call it.
    if (typeof object === 'object' && object !== null) {
      const prototype = Object.getPrototypeOf(object) as object | null;
      return prototype ? { prototype, object } : undefined;
    }
    if (!wrapper.isTransient) return undefined;
  }
  // What a factory returns per request is not known before it is called.
  const { metatype, inject } = wrapper;
  const prototype: unknown = typeof metatype === 'function' && !inject ? metatype.prototype : undefined;
  return typeof prototype === 'object' && prototype !== null ? { prototype, object: undefined } : undefined;
}

export const moduleRefOf = (module: NestModule): ModuleRef | undefined =>
  module.providers.get(ModuleRef)?.instance as ModuleRef | undefined;
