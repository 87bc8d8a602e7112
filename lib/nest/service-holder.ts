import { ConfigError } from '../common/errors.js';
import { MESSAGES } from './dflockd.messages.js';
import type { LockPlan } from './lock-plan.js';

/** Runs the body of a locked method of `self` under the lock that the plan asks for. */
export interface PlanRunner {
  run(plan: LockPlan, self: object, args: readonly unknown[], body: () => unknown): Promise<unknown>;
}

const BRAND = Symbol.for('nestjs-dflockd:service-holder');

/**
 * What classes with locked methods get injected, instead of the service. It depends on nothing, so that even the provider
 * of the module's options may have locked methods, and a request-scoped service would not make its users request-scoped.
 * The module fills it once the service exists.
 */
export class ServiceHolder {
  readonly [BRAND] = true;
  private content: PlanRunner | 'empty' | 'replaced' = 'empty';

  /** @param runner undefined: the service is not the one of this package */
  fill(runner: PlanRunner | undefined): void {
    this.content = runner ?? 'replaced';
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
export function isServiceHolder(value: unknown): value is ServiceHolder {
  return typeof value === 'object' && value !== null && (value as Partial<ServiceHolder>)[BRAND] === true;
}
