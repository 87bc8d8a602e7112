import type { FactoryProvider, LoggerService, ModuleMetadata, Provider, Type } from '@nestjs/common';
import { ConfigError } from '../common/errors.js';
import { checkObject, wrong } from '../common/option-checks.js';
import type { LockClientOptions } from '../locks/options/options.js';
import { MESSAGES } from './shared/dflockd.messages.js';
import { checkInstance } from './dflockd.token.js';
import { checkFilter } from './errors/exception.settings.js';

export type DflockdModuleOptions = LockClientOptions<unknown> & {
  /**
   * Answers requests that failed because of a lock, see LockExceptionFilter. Default true; `false` installs no filter.
   * `busyStatus` is the HTTP status for a busy lock, default 423. `keyStatus` is the one for a key that a decorator could not
   * make from the arguments of the call, default 400; with 500 it counts as a mistake of the application, on all
   * transports: it is logged with its stack, and clients get no reason.
   */
  exceptionFilter?: boolean | { busyStatus?: number | undefined; keyStatus?: number | undefined } | undefined;
  /**
   * Default: Nest's logger, context `Dflockd`. `false`: silence. A logger with a context of its own, as `new Logger('Locks')`,
   * keeps it.
   */
  logger?: LoggerService | false | undefined;
};

export interface DflockdModuleExtras {
  /** Name of this lock service, where an application has several. Default: none. */
  instance?: string | undefined;
  /** Whether all modules see it without importing it. Default true. */
  isGlobal?: boolean | undefined;
}

/** For `forRootAsync` with `useClass` or `useExisting`. */
export interface DflockdOptionsFactory {
  createDflockdOptions(): DflockdModuleOptions | Promise<DflockdModuleOptions>;
}

/** For `forRootAsync`: `useFactory` with `inject`, or `useClass` / `useExisting` with a DflockdOptionsFactory. */
export interface DflockdModuleAsyncOptions extends DflockdModuleExtras {
  /** Modules that export what is injected. */
  imports?: ModuleMetadata['imports'] | undefined;
  useFactory?: ((...args: any[]) => DflockdModuleOptions | Promise<DflockdModuleOptions>) | undefined;
  /** What `useFactory` is called with. */
  inject?: FactoryProvider['inject'] | undefined;
  useClass?: Type<DflockdOptionsFactory> | undefined;
  useExisting?: Type<DflockdOptionsFactory> | undefined;
  /** Providers of the importing module; those that `inject` names, and what they depend on, are provided here too. */
  provideInjectionTokensFrom?: Provider[] | undefined;
}

const LOGGER_METHODS = ['log', 'warn', 'error'] as const;

/**
 * Checks what belongs to Nest and returns the rest, which LockClient checks.
 * @throws ConfigError naming option and value
 */
export function clientOptionsOf(options: unknown): LockClientOptions<unknown> {
  const { exceptionFilter, logger, ...rest } = checkObject('options', options);
  for (const extra of ['instance', 'isGlobal']) {
    if (rest[extra] !== undefined) throw new ConfigError(MESSAGES.misplacedExtra(extra, rest[extra]));
  }
  if (exceptionFilter !== undefined && typeof exceptionFilter !== 'boolean') checkFilter(exceptionFilter);
  if (logger !== undefined && logger !== false) {
    const methods = checkObject('logger', logger);
    const missing = LOGGER_METHODS.filter((method) => typeof methods[method] !== 'function');
    if (missing.length > 0) throw wrong('logger', `a LoggerService (${missing.join(', ')} missing) or false`, logger);
  }
  return rest;
}

/** Of forRootAsync: where the options come from. @throws ConfigError */
export function checkSource(options: unknown): void {
  const { useFactory, useClass, useExisting } = checkObject('options', options);
  if (!useFactory && !useClass && !useExisting) throw new ConfigError(MESSAGES.noAsyncSource);
  if (useFactory && typeof useFactory !== 'function') throw wrong('useFactory', 'a function', useFactory);
  if (useClass && typeof useClass !== 'function') throw wrong('useClass', 'a class', useClass);
}

/** @throws ConfigError */
export function checkExtras({ instance, isGlobal }: { instance?: unknown; isGlobal?: unknown }): void {
  if (instance !== undefined) checkInstance(instance);
  if (isGlobal !== undefined && typeof isGlobal !== 'boolean') throw wrong('isGlobal', 'true or false', isGlobal);
}
