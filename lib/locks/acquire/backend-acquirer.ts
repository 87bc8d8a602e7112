import type { AcquireRequest, Grant, LockBackend } from '../../backends/backend.js';
import { whenAborted } from '../../common/abort.js';
import { Alarms, newAlarm } from '../../common/alarms.js';
import { LockUnavailableError } from '../../common/errors.js';
import { LinkedList } from '../../common/linked-list.js';
import { rejected } from '../../common/rejected.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import {
  type AcquireContext,
  AcquireAttempts,
  type Cancellable,
  giveUpUnsure,
  type GrantReceiver,
} from './acquire-attempts.js';

/** Acquires locks from a backend for callers with a deadline and an AbortSignal. All of its waits can be cancelled. */
export class BackendAcquirer {
  private readonly context: AcquireContext;
  /** Why nothing can be acquired any more. */
  private closed: Error | undefined;

  constructor(backend: LockBackend, clock: Clock, entropy: Entropy) {
    this.context = { backend, clock, entropy, alarms: new Alarms(clock, true), waiting: new LinkedList() };
  }

  /** These alarms keep the process alive while a caller waits. */
  get alarms(): Alarms {
    return this.context.alarms;
  }

  /**
   * Waits for the lock until the request's deadline and retries after transient errors.
   * @param receiver receives the grant; or AcquireTimeoutError, the reason of the signal, or the last attempt's error
   */
  take(req: AcquireRequest, signal: AbortSignal | undefined, receiver: GrantReceiver): void {
    const refusal = this.refusal(signal);
    if (refusal) return receiver.failed(refusal.reason);
    const attempts = new AcquireAttempts(this.context, req, signal, receiver);
    this.context.waiting.push(attempts);
    attempts.start();
  }

  /** take() as a promise. */
  acquire(
    req: AcquireRequest,
    signal: AbortSignal | undefined,
    queued: (() => void) | undefined,
    autoRenew = false,
  ): Promise<Grant> {
    return new Promise((resolve, reject) => {
      // The reason of an AbortSignal can be any value.
      const refuse: (reason: unknown) => void = reject;
      this.take(req, signal, { autoRenew, granted: resolve, failed: refuse, queued });
    });
  }

  /**
   * Tries once.
   * @param deadline of a caller that would wait longer; a single try takes as long as the backend lets it
   * @throws the reason of the signal, or the backend's error
   */
  tryAcquire(req: AcquireRequest, signal: AbortSignal | undefined, deadline: Ms = Infinity): Promise<Grant | null> {
    const { backend } = this.context;
    return this.giveUpOn(
      async () => this.inTime(await backend.tryAcquire(req)),
      signal,
      (grant) => grant && backend.abandon(grant),
      deadline,
    );
  }

  /** Waits for `ready` before an acquire, but not beyond the deadline. */
  until(ready: Promise<void>, deadline: Ms, signal: AbortSignal | undefined): Promise<void> {
    return this.giveUpOn(
      () => ready,
      signal,
      () => undefined,
      deadline,
    );
  }

  /** Makes paused attempts retry now. */
  wake(): void {
    for (const one of [...this.context.waiting]) if (one instanceof AcquireAttempts) one.wake();
  }

  /** Rejects all current and future waits. */
  close(reason: Error): void {
    this.closed = reason;
    for (const one of [...this.context.waiting]) one.cancel(reason);
  }

  /**
   * @throws LockUnavailableError if the lease has ended already, BackendError for an invalid grant, having given it up
   */
  private inTime(grant: Grant | null): Grant | null {
    const { backend, clock } = this.context;
    const unsure = grant && giveUpUnsure(backend, grant, clock.now());
    if (unsure) throw unsure;
    return grant;
  }

  /** @param late receives a result that arrives after its caller has stopped waiting */
  private giveUpOn<T>(
    begin: () => Promise<T>,
    signal: AbortSignal | undefined,
    late: (value: T) => void,
    deadline: Ms = Infinity,
  ): Promise<T> {
    const refusal = this.refusal(signal);
    if (refusal) return rejected(refusal.reason);
    const { alarms, waiting } = this.context;
    let over = false;
    const one: Cancellable = { cancel: () => undefined, prev: undefined, next: undefined };
    waiting.push(one);
    const alarm = newAlarm(() => one.cancel(new LockUnavailableError('no answer in time')));
    const promise = new Promise<T>((resolve, reject) => {
      const once = (settle: () => void): void => {
        over = true;
        waiting.remove(one);
        alarms.cancel(alarm);
        settle();
      };
      // The reason of an AbortSignal can be any value.
      const refuse: (reason: unknown) => void = reject;
      one.cancel = (reason) => over || once(() => refuse(reason));
      begin().then(
        (value) => (over ? late(value) : once(() => resolve(value))),
        (error: Error) => over || once(() => reject(error)),
      );
    });
    alarms.set(alarm, deadline);
    return signal ? this.abortable(signal, one, promise) : promise;
  }

  /** Why nothing can be acquired, if so. */
  private refusal(signal: AbortSignal | undefined): { readonly reason: unknown } | undefined {
    if (this.closed) return { reason: this.closed };
    // Callers receive the reason of their signal, whatever it is.
    return signal?.aborted ? { reason: signal.reason } : undefined;
  }

  private async abortable<T>(signal: AbortSignal, one: Cancellable, promise: Promise<T>): Promise<T> {
    const ignoreAbort = whenAborted(signal, () => one.cancel(signal.reason));
    try {
      return await promise;
    } finally {
      ignoreAbort();
    }
  }
}
