import type { LoggerService } from '@nestjs/common';
import { ConfigError } from '../common/errors.js';
import type { LockClientOptions } from '../locks/options.js';
import { MESSAGES } from './dflockd.messages.js';

export type DflockdModuleOptions = LockClientOptions & {
  /**
   * Answers requests that failed over a lock, see LockExceptionFilter. Default true; `false` leaves them to others;
   * `{ busyStatus }` is the HTTP status for "somebody else has the lock", default 423.
   */
  exceptionFilter?: boolean | { busyStatus: number };
  /** Default: Nest's logger, context `Dflockd`. `false`: silence. */
  logger?: LoggerService | false;
};

export interface Extras {
  /** Name of this lock service, where an application has several. Default: none. */
  instance?: string;
  /** Whether all modules see it without importing it. Default true. */
  isGlobal?: boolean;
}

/** For `forRootAsync` with `useClass` or `useExisting`. */
export interface DflockdOptionsFactory {
  createDflockdOptions(): DflockdModuleOptions | Promise<DflockdModuleOptions>;
}

const LOGGER_METHODS = ['log', 'warn', 'error'] as const;

/**
 * Checks what belongs to Nest and returns the rest, which LockClient checks.
 * @throws ConfigError naming option and value
 */
export function clientOptionsOf(options: unknown): LockClientOptions {
  if (typeof options !== 'object' || options === null) throw new ConfigError(MESSAGES.notOptions(options));
  const { exceptionFilter, logger, ...rest } = options as DflockdModuleOptions & Extras;
  for (const extra of ['instance', 'isGlobal'] as const) {
    if (extra in rest) throw new ConfigError(MESSAGES.misplacedExtra(extra, rest[extra]));
  }
  const bad = (option: string, value: unknown, expected: string) =>
    new ConfigError(MESSAGES.badOption('DflockdModule', option, value, expected));
  if (typeof exceptionFilter === 'object') {
    const status: unknown = (exceptionFilter as { busyStatus?: unknown } | null)?.busyStatus;
    if (!Number.isInteger(status) || (status as number) < 400 || (status as number) > 599) {
      throw bad('exceptionFilter.busyStatus', status, 'an HTTP status from 400 to 599');
    }
  } else if (exceptionFilter !== undefined && typeof exceptionFilter !== 'boolean') {
    throw bad('exceptionFilter', exceptionFilter, 'true, false or { busyStatus }');
  }
  const isLogger = (value: unknown) =>
    typeof value === 'object' &&
    value !== null &&
    LOGGER_METHODS.every((method) => typeof (value as Record<string, unknown>)[method] === 'function');
  if (logger !== undefined && logger !== false && !isLogger(logger)) {
    throw bad('logger', logger, 'a LoggerService or false');
  }
  return rest;
}

/** @throws ConfigError */
export function checkExtras({ instance, isGlobal }: { instance?: unknown; isGlobal?: unknown }): void {
  if (instance !== undefined && (typeof instance !== 'string' || instance === '')) {
    throw new ConfigError(MESSAGES.badOption('DflockdModule', 'instance', instance, 'a name'));
  }
  if (isGlobal !== undefined && typeof isGlobal !== 'boolean') {
    throw new ConfigError(MESSAGES.badOption('DflockdModule', 'isGlobal', isGlobal, 'true or false'));
  }
}
