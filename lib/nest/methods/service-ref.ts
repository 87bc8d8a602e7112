import { brand } from '../../common/brand.js';
import { ConfigError } from '../../common/errors.js';
import { sharedSymbol } from '../../common/shared-state.js';
import type { LockScope } from '../../locks/lock-scope.js';
import { located, MESSAGES } from '../shared/dflockd.messages.js';
import type { LockPlan } from './lock-plan.js';

/** The lock around one call, as used by the wrappers of locked methods. */
export type CallScope = Pick<LockScope, 'run' | 'leave' | 'settle' | 'loss' | 'onLoss'>;

/** The result of a call whose lock was busy, in place of the method's. */
export class BusyResult {
  constructor(readonly value: unknown) {}
}
// A method's wrapper and the service it reaches may come from two copies of this package.
brand(BusyResult, 'BusyResult');

/** Acquires the locks that plans request. */
export interface PlanRunner {
  /** Checks that the plan works with the options of the module. @throws ConfigError if not */
  check(plan: LockPlan): void;
  /**
   * Acquires the lock for one call of a method of `self`; the scope must be left. If the lock is busy, returns the
   * result of `onBusy`.
   * @param signal aborts the wait
   * @throws LockKeyError, and the error of the key function. Rejects as LockClient.enter, and with the error of
   * `onBusy`
   */
  enter(plan: LockPlan, self: unknown, args: readonly unknown[], signal?: AbortSignal): Promise<CallScope | BusyResult>;
}

const BRAND: unique symbol = sharedSymbol('service-holder') as never;

/**
 * Injected into classes with locked methods instead of the service. It has no dependencies, so that even the provider
 * of the module's options may have locked methods, and a request-scoped service does not make its users request-scoped.
 * The module fills it once the service exists.
 */
export class ServiceRef {
  readonly [BRAND] = true;
  private content: PlanRunner | 'empty' | 'replaced' = 'empty';

  /** @param runner undefined: the service is not this package's */
  fill(runner: PlanRunner | undefined): void {
    this.content = runner ?? 'replaced';
  }

  /** Called at startup. @throws ConfigError naming the method, if its plan contradicts the options of the module */
  check(plan: LockPlan): void {
    const { content } = this;
    if (typeof content === 'object') located(plan.method, () => content.check(plan));
  }

  /** @throws ConfigError if nothing can run the plan. */
  runnerFor(plan: LockPlan): PlanRunner {
    const { content } = this;
    if (content === 'empty') throw new ConfigError(MESSAGES.notReady(plan.method));
    if (content === 'replaced') throw new ConfigError(MESSAGES.replaced(plan.method));
    return content;
  }
}

/** False for the replacement by a mocking library. */
export function isServiceRef(value: unknown): value is ServiceRef {
  return typeof value === 'object' && value !== null && (value as Partial<ServiceRef>)[BRAND] === true;
}
