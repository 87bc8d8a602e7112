/**
 * Injection tokens and metadata keys. All from the global symbol registry: where an application ends up with the ESM and
 * the CommonJS copy of this package, both still mean the same thing by them.
 */

/** Name of the instance that `forRoot()` without `instance` makes. */
export const DEFAULT_INSTANCE = 'default';

/** Context of everything this package logs. */
export const LOG_CONTEXT = 'Dflockd';

/** Where a module keeps its resolved options. */
export const MODULE_OPTIONS = Symbol.for('nestjs-dflockd:options');

/** Where a module says which instance it makes; how the modules of one application find each other. */
export const MODULE_INFO = Symbol.for('nestjs-dflockd:module-info');

/** Parts of a module, whatever its instance is called. Not exported from it. */
export const OWN_SERVICE = Symbol.for('nestjs-dflockd:own-service');
export const OWN_LOG = Symbol.for('nestjs-dflockd:own-log');
export const OWN_FILTER = Symbol.for('nestjs-dflockd:own-filter');
export const OWN_WIRING = Symbol.for('nestjs-dflockd:own-wiring');

/** Metadata on a prototype: its locked methods. */
export const LOCKED_METHODS = Symbol.for('nestjs-dflockd:locked-methods');

/** Metadata on a class or a method: what @LockRequest asks for. */
export const LOCK_REQUESTS = Symbol.for('nestjs-dflockd:lock-requests');

/** Token of an instance's holder, and the property under which it is injected into classes with locked methods. */
export function holderToken(instance: string): symbol {
  let token = holderTokens.get(instance);
  if (!token) holderTokens.set(instance, (token = Symbol.for(`nestjs-dflockd:holder:${instance}`)));
  return token;
}

/** Every call of a locked method asks for one. */
const holderTokens = new Map<string, symbol>();
