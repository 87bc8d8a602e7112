import { brand } from '../../common/brand.js';
import { ConfigError } from '../../common/errors.js';
import { sharedSymbol } from '../../common/shared-state.js';
import type { LockScope } from '../../locks/lock-scope.js';
import { located, MESSAGES } from '../shared/dflockd.messages.js';
import type { LockPlan } from './lock-plan.js';

/** The lock around one call, as the shapes of locked methods use it. */
export type CallScope = Pick<LockScope, 'run' | 'leave' | 'settle' | 'loss' | 'onLoss'>;

/** What a call gives in place of its method's result, where the lock was busy. */
export class BusyResult {
  constructor(readonly value: unknown) {}
}
// The wrapper of a method and the service that it reaches may come from two copies of this package.
brand(BusyResult, 'BusyResult');

/** Takes the locks that plans ask for. */
export interface PlanRunner {
  /** Whether the plan can work with the options of the module. @throws ConfigError if not */
  check(plan: LockPlan): void;
  /**
   * The lock for one call of a method of `self`; it must be left. Or what `onBusy` has in place of the method.
   * @param signal gives up waiting
   * @throws LockKeyError, and what the key function throws. Rejects as LockClient.enter, and with what `onBusy` throws
   */
  enter(plan: LockPlan, self: unknown, args: readonly unknown[], signal?: AbortSignal): Promise<CallScope | BusyResult>;
}

const BRAND: unique symbol = sharedSymbol('service-holder') as never;

/**
 * What classes with locked methods get injected, instead of the service. It depends on nothing, so that even the provider
 * of the module's options may have locked methods, and a request-scoped service would not make its users request-scoped.
 * The module fills it once the service exists.
 */
export class ServiceRef {
  readonly [BRAND] = true;
  private content: PlanRunner | 'empty' | 'replaced' = 'empty';

  /** @param runner undefined: the service is not the one of this package */
  fill(runner: PlanRunner | undefined): void {
    this.content = runner ?? 'replaced';
  }

  /** At start. @throws ConfigError naming the method, if its plan contradicts the options of the module */
  check(plan: LockPlan): void {
    const { content } = this;
    if (typeof content === 'object') located(plan.method, () => content.check(plan));
  }

  /** @throws ConfigError when there is nothing that could run the plan. */
  runnerFor(plan: LockPlan): PlanRunner {
    const { content } = this;
    if (content === 'empty') throw new ConfigError(MESSAGES.notReady(plan.method));
    if (content === 'replaced') throw new ConfigError(MESSAGES.replaced(plan.method));
    return content;
  }
}

/** False for what a mocker put in its place. */
export function isServiceRef(value: unknown): value is ServiceRef {
  return typeof value === 'object' && value !== null && (value as Partial<ServiceRef>)[BRAND] === true;
}
