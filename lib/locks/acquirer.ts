import type { AcquireRequest, Grant, LockBackend } from '../backends/backend.js';
import { Alarms, newAlarm } from '../common/alarms.js';
import { LockUnavailableError } from '../common/errors.js';
import { LinkedList } from '../common/linked-list.js';
import type { Clock, Entropy, Ms } from '../common/system.js';
import { type AcquireContext, Acquisition, isOver, tooLate, type Waiter } from './acquisition.js';

/** Takes locks from a backend for callers with a deadline and an AbortSignal. Everybody who waits can be sent away. */
export class Acquirer {
  private readonly waiters = new LinkedList<Waiter>();
  private readonly context: AcquireContext;
  /** Why nothing is taken any more. */
  private closed: Error | undefined;

  constructor(backend: LockBackend, clock: Clock, entropy: Entropy) {
    this.context = { backend, clock, entropy, alarms: new Alarms(clock, true) };
  }

  /** Keep the process alive: somebody waits. */
  get alarms(): Alarms {
    return this.context.alarms;
  }

  /**
   * Waits for the lock until the deadline of the request, and tries again what may be passing.
   * @param queued called when the request has its place in a line
   * @throws AcquireTimeoutError, the reason of the signal, or the error that the last attempt met
   */
  acquire(req: AcquireRequest, signal: AbortSignal | undefined, queued: (() => void) | undefined): Promise<Grant> {
    const refusal = this.refusal(signal);
    if (refusal) return refusal;
    const acquisition = new Acquisition(this.context, req, queued, this.ended);
    this.waiters.push(acquisition);
    acquisition.start();
    return signal ? this.abortable(signal, acquisition, acquisition.promise) : acquisition.promise;
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
    for (const waiter of [...this.waiters]) if (waiter instanceof Acquisition) waiter.wake();
  }

  /** Rejects all that wait, and all that come. */
  close(reason: Error): void {
    this.closed = reason;
    for (const waiter of [...this.waiters]) waiter.cancel(reason);
  }

  private readonly ended = (waiter: Waiter): void => {
    this.waiters.remove(waiter);
  };

  /** @throws LockUnavailableError if the lease is over already, having given it up */
  private inTime(grant: Grant | null): Grant | null {
    const { backend, clock } = this.context;
    if (!grant || !isOver(grant, clock.now())) return grant;
    backend.abandon(grant);
    throw tooLate(grant);
  }

  /** @param late gets what comes although nobody waits for it any more */
  private giveUpOn<T>(
    begin: () => Promise<T>,
    signal: AbortSignal | undefined,
    late: (value: T) => void,
    deadline: Ms = Infinity,
  ): Promise<T> {
    const refusal = this.refusal(signal);
    if (refusal) return refusal;
    const { alarms } = this.context;
    let over = false;
    const waiter: Waiter = { cancel: () => undefined, prev: undefined, next: undefined };
    this.waiters.push(waiter);
    const alarm = newAlarm(() => waiter.cancel(new LockUnavailableError('no answer in time')));
    const promise = new Promise<T>((resolve, reject) => {
      const once = (settle: () => void): void => {
        over = true;
        this.waiters.remove(waiter);
        alarms.cancel(alarm);
        settle();
      };
      // The reason of an AbortSignal can be anything.
      const refuse: (reason: unknown) => void = reject;
      waiter.cancel = (reason) => over || once(() => refuse(reason));
      begin().then(
        (value) => (over ? late(value) : once(() => resolve(value))),
        (error: Error) => over || once(() => reject(error)),
      );
    });
    alarms.set(alarm, deadline);
    return signal ? this.abortable(signal, waiter, promise) : promise;
  }

  private refusal(signal: AbortSignal | undefined): Promise<never> | undefined {
    if (this.closed) return Promise.reject(this.closed);
    // Whatever it is: callers get the reason that they gave.
    return signal?.aborted ? Promise.reject(signal.reason as Error) : undefined;
  }

  private async abortable<T>(signal: AbortSignal, waiter: Waiter, promise: Promise<T>): Promise<T> {
    const abort = (): void => waiter.cancel(signal.reason as Error);
    signal.addEventListener('abort', abort);
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}
