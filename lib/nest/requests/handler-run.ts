import { AsyncLocalStorage } from 'node:async_hooks';
import type { CallHandler, ExecutionContext } from '@nestjs/common';
import { Observable } from 'rxjs';
import { LockError } from '../../common/errors.js';
import { shared } from '../../common/shared-state.js';
import { started } from '../../common/thenables.js';

/** Shared by all copies of this package: the interceptor of one may run handlers that another has wrapped. */
const runs = shared('handler-runs', () => new AsyncLocalStorage<HandlerRun | undefined>());

/** The run that the calling code belongs to, if it is the handler. */
export const currentRun = (): HandlerRun | undefined => runs.getStore();

/**
 * One run of a request's handler, with everything between its locks and the handler. Interceptors only see results: one
 * that gives up (a timeout) ends the request, but not the handler's work.
 */
export class HandlerRun {
  private isSubscribed = false;
  private wasCalled = false;
  private hasEnded = false;
  /** Calls of the handler that have not settled. */
  private calls = 0;
  private readonly whenOver: (() => void)[] = [];

  /** @param isPrecise whether its work is known to end with the subscription, or is reported by call() */
  constructor(
    private readonly context: ExecutionContext,
    private readonly next: CallHandler,
    private readonly isPrecise: boolean,
  ) {}

  /** Whether it is a run of that handler for that request, and is not over. */
  isOf(context: ExecutionContext): boolean {
    return this.context === context && !this.hasEnded;
  }

  get isBusy(): boolean {
    return this.isSubscribed || this.calls > 0;
  }

  /** Calls back when the run is not busy: now or later. */
  afterwards(fn: () => void): void {
    if (this.isBusy) this.whenOver.push(fn);
    else fn();
  }

  /** The result of the handler; must be subscribed once. */
  start(): Observable<unknown> {
    return new Observable((subscriber) => {
      this.isSubscribed = true;
      let hasEmitted = false;
      let isWanted = true;
      const source = runs.run(this, () =>
        (this.next.handle() as Observable<unknown>).subscribe({
          next: (value) => {
            hasEmitted = true;
            if (isWanted) subscriber.next(value);
            else stop();
          },
          error: (error: unknown) => {
            this.unsubscribed();
            subscriber.error(error);
          },
          complete: () => {
            this.unsubscribed();
            subscriber.complete();
          },
        }),
      );
      const stop = (): void => {
        source.unsubscribe();
        this.unsubscribed();
      };
      return () => {
        isWanted = false;
        // Otherwise the handler may have returned a promise, which is still pending: its first value tells that it has
        // settled.
        if (hasEmitted || this.wasCalled || this.isPrecise) stop();
      };
    });
  }

  /**
   * Calls the handler.
   * @throws LockError if the request, and with it the lock, is already over because earlier steps took too long
   */
  call<R>(handler: () => R): R {
    if (this.hasEnded) throw new LockError('the request was over before its handler began; the lock has been released');
    this.wasCalled = true;
    this.calls++;
    let result: R;
    try {
      // Handlers called by this one are part of it and not counted separately.
      result = runs.run(undefined, () => started(handler()));
    } catch (error) {
      this.settled();
      throw error;
    }
    const settled = (): void => this.settled();
    if (result instanceof Promise) result.then(settled, settled);
    else settled();
    return result;
  }

  private settled(): void {
    this.calls--;
    this.endIfOver();
  }

  private unsubscribed(): void {
    this.isSubscribed = false;
    this.endIfOver();
  }

  private endIfOver(): void {
    if (this.isBusy) return;
    this.hasEnded = true;
    for (const fn of this.whenOver.splice(0)) fn();
  }
}
