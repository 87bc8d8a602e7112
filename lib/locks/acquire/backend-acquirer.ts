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

/** Takes locks from a backend for callers with a deadline and an AbortSignal. Everybody who waits can be sent away. */
export class BackendAcquirer {
  private readonly context: AcquireContext;
  /** Why nothing is taken any more. */
  private closed: Error | undefined;

  constructor(backend: LockBackend, clock: Clock, entropy: Entropy) {
    this.context = { backend, clock, entropy, alarms: new Alarms(clock, true), waiting: new LinkedList() };
  }

  /** Keep the process alive: somebody waits. */
  get alarms(): Alarms {
    return this.context.alarms;
  }

  /**
   * Waits for the lock until the deadline of the request, and tries again what may be passing.
   * @param receiver told the grant; AcquireTimeoutError, the reason of the signal, or the error that the last attempt met
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
      // The reason of an AbortSignal can be anything.
      const refuse: (reason: unknown) => void = reject;
      this.take(req, signal, { autoRenew, granted: resolve, failed: refuse, queued });
    });
  }

  /**
   * One try.
   * @param deadline of who waits for more than this try; a try alone lasts as long as the backend lets it
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

  /** Waits for something else before an acquire, no longer than until the deadline. */
  until(ready: Promise<void>, deadline: Ms, signal: AbortSignal | undefined): Promise<void> {
    return this.giveUpOn(
      () => ready,
      signal,
      () => undefined,
      deadline,
    );
  }

  /** Attempts that pause try again now. */
  wake(): void {
    for (const one of [...this.context.waiting]) if (one instanceof AcquireAttempts) one.wake();
  }

  /** Rejects all that wait, and all that come. */
  close(reason: Error): void {
    this.closed = reason;
    for (const one of [...this.context.waiting]) one.cancel(reason);
  }

  /** @throws LockUnavailableError if the lease is over already, BackendError for what is no grant, having given it up */
  private inTime(grant: Grant | null): Grant | null {
    const { backend, clock } = this.context;
    const unsure = grant && giveUpUnsure(backend, grant, clock.now());
    if (unsure) throw unsure;
    return grant;
  }

  /** @param late gets what comes although nobody waits for it any more */
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
      // The reason of an AbortSignal can be anything.
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

  /** Why nothing can be taken. */
  private refusal(signal: AbortSignal | undefined): { readonly reason: unknown } | undefined {
    if (this.closed) return { reason: this.closed };
    // Whatever it is: callers get the reason that they gave.
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
