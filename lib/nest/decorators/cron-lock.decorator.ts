import { ConfigError } from '../../common/errors.js';
import { checkNames, checkObject, wrong } from '../../common/option-checks.js';
import { located, MESSAGES } from '../shared/dflockd.messages.js';
import { lockMethod } from '../methods/locked-method.wrapper.js';
import type { AnyMethod, LockDecorator } from '../methods/with-lock.types.js';

export interface CronLockOptions {
  /**
   * Minimum time, in seconds after the acquire, for which the lock is kept: longer than the clocks of the instances
   * differ, shorter than the interval between two ticks. Without it, an instance that is late would find the lock free
   * again and run the job a second time.
   */
  minHoldS: number;
  /**
   * Seconds after the grant at which the job loses its lock (reason `overdue`), at least `minHoldS`. Set it for every
   * job: one that never settles would otherwise keep the lock until its process ends. Default: the module's `maxHoldS`.
   */
  maxHoldS?: number | undefined;
  /** Lease in seconds. Default: the module's. */
  leaseTtlS?: number | undefined;
  /** The `instance` given to `forRoot`. Default: the one without a name. */
  instance?: string | undefined;
}

/**
 * For a `@Cron` method, above or below it: one instance of the application runs the job per tick; the others skip it.
 * @throws ConfigError when the class is defined, if the key or an option cannot work
 *
 * @example
 * ```ts
 * @Cron('0 3 * * *')
 * @CronLock('nightly-report', { minHoldS: 30, maxHoldS: 3600 })
 * async report(): Promise<void> { … }
 * ```
 */
export function CronLock<T extends object, M extends AnyMethod>(
  key: [ReturnType<M>] extends [Promise<void>] ? string : 'a @CronLock method must return Promise<void>',
  options: CronLockOptions,
): LockDecorator<T, M> {
  return lockMethod('@CronLock', key, options, forCron) as LockDecorator<T, M>;
}

function forCron(where: string, key: unknown, options: unknown): object {
  return located(where, () => {
    if (typeof key !== 'string') throw wrong('key', 'a string', key);
    if (/[{}]/.test(key)) throw new ConfigError(MESSAGES.cronTemplate(key));
    const given = checkObject('options', options);
    checkNames('', given, ['minHoldS', 'maxHoldS', 'leaseTtlS', 'instance']);
    if (given.minHoldS === undefined) throw wrong('minHoldS', 'a number of at least 0', undefined);
    return { ...given, onBusy: 'skip' };
  });
}
