import { sharedSymbol } from '../../common/shared-state.js';

/**
 * Injection tokens and metadata keys. All come from the global symbol registry, so that the ESM and the CommonJS copy
 * of this package mean the same thing by them if an application loads both.
 */

/** Name of the instance that `forRoot()` creates without `instance`. */
export const DEFAULT_INSTANCE = 'default';

/** Log context of this package. */
export const LOG_CONTEXT = 'Dflockd';

/** Where a module keeps its resolved options. */
export const MODULE_OPTIONS = sharedSymbol('options');

/** Where a module declares which instance it creates, so that the modules of an application can find each other. */
export const MODULE_INFO = sharedSymbol('module-info');

/** Parts of a module, whatever the name of its instance. Not exported from it. */
export const OWN_SERVICE = sharedSymbol('own-service');
export const OWN_LOG = sharedSymbol('own-log');
export const OWN_FILTER = sharedSymbol('own-filter');
export const OWN_WIRING = sharedSymbol('own-wiring');

/** Metadata on a prototype: its locked methods. */
export const LOCKED_METHODS = sharedSymbol('locked-methods');

/** Metadata on a class or a method: what @LockRequest requests. */
export const LOCK_REQUESTS = sharedSymbol('lock-requests');

/**
 * Token of an instance's service reference, and the property under which it is injected into classes with locked
 * methods.
 */
export function serviceRefToken(instance: string): symbol {
  let token = serviceRefTokens.get(instance);
  if (!token) serviceRefTokens.set(instance, (token = sharedSymbol(`holder:${instance}`)));
  return token;
}

/** Cached, because every call of a locked method needs one. */
const serviceRefTokens = new Map<string, symbol>();
