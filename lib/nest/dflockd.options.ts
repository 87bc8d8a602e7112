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
   * `busyStatus` is the HTTP status for a busy lock, default 423. `keyStatus` is the status for a key that a decorator
   * could not build from the arguments of the call, default 400. With 500 it counts as an application error on all
   * transports: it is logged with its stack, and clients get no reason.
   */
  exceptionFilter?: boolean | { busyStatus?: number | undefined; keyStatus?: number | undefined } | undefined;
  /**
   * The logger. Default: Nest's logger with the context `Dflockd`. `false`: no log. A logger with its own context, such
   * as `new Logger('Locks')`, keeps it.
   */
  logger?: LoggerService | false | undefined;
};

export interface DflockdModuleExtras {
  /** Name of this lock service, if an application has several. Default: none. */
  instance?: string | undefined;
  /** Whether all modules can inject it without importing this one. Default true. */
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
  /** Providers of the importing module: those named in `inject`, with their dependencies, are provided here too. */
  provideInjectionTokensFrom?: Provider[] | undefined;
}

const LOGGER_METHODS = ['log', 'warn', 'error'] as const;

/**
 * Checks the options of the Nest module and returns the rest, which LockClient checks.
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

/** Checks where the options of forRootAsync come from. @throws ConfigError */
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
