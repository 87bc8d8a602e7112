import { types } from 'node:util';
import { from, isObservable, Observable, Subject, takeUntil, type Subscriber } from 'rxjs';
import { ConfigError } from '../../common/errors.js';
import type { AnyFunction } from './decorated-method.js';
import { MESSAGES } from '../shared/dflockd.messages.js';
import type { LockPlan } from './lock-plan.js';
import { runnerFor } from './runner-lookup.js';
import { type CallScope, BusyResult } from './service-ref.js';

/**
 * A method that returns an Observable: each subscription acquires the lock, calls the method, and holds the lock until
 * complete, error or unsubscribe.
 */
export function lockedObservable(plan: LockPlan, original: AnyFunction): AnyFunction {
  // An async method keeps returning a Promise.
  const promised = types.isAsyncFunction(original);
  return function locked(this: unknown, ...args: unknown[]) {
    const observable = new Observable((subscriber) => {
      const subscription = new LockedSubscription(plan, subscriber);
      subscriber.add(() => subscription.end());
      subscription.begin(this, args, original).catch((error: unknown) => subscriber.error(error));
    });
    return promised ? Promise.resolve(observable) : observable;
  };
}

/** One subscription and its lock. */
class LockedSubscription {
  private readonly waiting = new AbortController();
  private readonly over = new Subject<void>();
  private isOver = false;
  private scope: CallScope | undefined;

  constructor(
    private readonly plan: LockPlan,
    private readonly subscriber: Subscriber<unknown>,
  ) {}

  async begin(self: unknown, args: readonly unknown[], original: AnyFunction): Promise<void> {
    const { plan, subscriber, waiting } = this;
    const scope = await runnerFor(self, plan).enter(plan, self, args, waiting.signal);
    if (scope instanceof BusyResult) return this.follow(scope.value, () => subscriber.complete());
    this.scope = scope;
    if (this.isOver) return this.end();
    try {
      const source = await scope.run(() => Reflect.apply(original, self, args) as unknown);
      if (this.isOver) return;
      if (plan.onLost === 'throw') scope.onLoss((loss) => subscriber.error(loss));
      scope.run(() => this.follow(source, () => void this.complete(scope)));
    } catch (error) {
      await scope.leave();
      throw error;
    }
  }

  /** Unsubscribed, completed or failed. */
  end(): void {
    this.isOver = true;
    this.waiting.abort();
    this.over.next();
    void this.scope?.leave();
  }

  /** @throws ConfigError */
  private follow(source: unknown, complete: () => void): void {
    if (!isObservable(source)) throw new ConfigError(MESSAGES.noObservable(this.plan.method, source));
    const { subscriber } = this;
    from(source)
      .pipe(takeUntil(this.over))
      .subscribe({
        next: (value) => subscriber.next(value),
        // The lock is released before the end is emitted, as with a method that settles.
        error: (error: unknown) => void (this.scope?.leave() ?? Promise.resolve()).then(() => subscriber.error(error)),
        complete: () => this.isOver || complete(),
      });
  }

  private async complete(scope: CallScope): Promise<void> {
    const loss = await scope.leave();
    if (loss && this.plan.onLost === 'throw') this.subscriber.error(loss);
    else this.subscriber.complete();
  }
}
