import { sharedSymbol } from '../../common/shared-state.js';

/**
 * Injection tokens and metadata keys. All from the global symbol registry: where an application ends up with the ESM and
 * the CommonJS copy of this package, both still mean the same thing by them.
 */

/** Name of the instance that `forRoot()` without `instance` makes. */
export const DEFAULT_INSTANCE = 'default';

/** Context of everything this package logs. */
export const LOG_CONTEXT = 'Dflockd';

/** Where a module keeps its resolved options. */
export const MODULE_OPTIONS = sharedSymbol('options');

/** Where a module says which instance it makes; how the modules of one application find each other. */
export const MODULE_INFO = sharedSymbol('module-info');

/** Parts of a module, whatever its instance is called. Not exported from it. */
export const OWN_SERVICE = sharedSymbol('own-service');
export const OWN_LOG = sharedSymbol('own-log');
export const OWN_FILTER = sharedSymbol('own-filter');
export const OWN_WIRING = sharedSymbol('own-wiring');

/** Metadata on a prototype: its locked methods. */
export const LOCKED_METHODS = sharedSymbol('locked-methods');

/** Metadata on a class or a method: what @LockRequest asks for. */
export const LOCK_REQUESTS = sharedSymbol('lock-requests');

/** Token of an instance's service reference, and the property under which it is injected into classes with locked methods. */
export function serviceRefToken(instance: string): symbol {
  let token = serviceRefTokens.get(instance);
  if (!token) serviceRefTokens.set(instance, (token = sharedSymbol(`holder:${instance}`)));
  return token;
}

/** Every call of a locked method asks for one. */
const serviceRefTokens = new Map<string, symbol>();
