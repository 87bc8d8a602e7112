import { type Alarm, Alarms } from '../../common/alarms.js';
import { AcquireTimeoutError, type LockLostError } from '../../common/errors.js';
import { shared } from '../../common/shared-state.js';
import { type Ms, systemClock } from '../../common/system.js';
import { isMute, isOver, isPipelined, onEnd, type RawResponse } from './response.js';
import type { CallScope } from '../methods/service-ref.js';

/** How long a request lock lasts: until the end of the response, or of its handlers. */
export type Until = 'response' | 'handler';

/**
 * How often, in milliseconds, a response is checked in case its end was not reported, once its handlers have settled or
 * while it is pipelined.
 */
const LOOK_MS: Ms = 1000;
const looks = new Alarms(systemClock);

/**
 * A lock of a request: held until all handlers that work under it have settled and, if one of them requires it, the
 * response is over. Several handlers of one request (fields of a GraphQL operation) share it, because one that waited
 * for another's lock would wait for the end of its own request.
 */
export class RequestLock implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  private readonly waiting = new AbortController();
  private handlers = 0;
  private wantsResponse = false;
  private streams = false;
  private isOpen: boolean;
  private hasEnded = false;
  readonly scope: Promise<CallScope>;

  /**
   * @param enter acquires the lock, until its signal aborts
   * @param ended called once, when no further handler may share it
   */
  constructor(
    private readonly key: string,
    enter: (signal: AbortSignal) => Promise<CallScope>,
    private readonly response: RawResponse | undefined,
    private readonly ended: () => void,
  ) {
    const left = response !== undefined && isOver(response);
    this.isOpen = response !== undefined && !left && onEnd(response, () => this.responseOver());
    this.scope = enter(this.waiting.signal);
    this.scope.then(
      (scope) => {
        scope.onLoss((loss) => this.lost(loss));
        this.endIfOver();
      },
      () => this.end(),
    );
    // The client may have disconnected while the guards ran.
    if (left) this.stopWaiting();
    else if (this.isOpen && isPipelined(response!)) this.lookLater();
  }

  /** A handler begins. @param streams whether it sends what it emits, and with it the loss of the lock */
  enter(until: Until, streams = false): void {
    this.handlers++;
    this.wantsResponse ||= until === 'response';
    this.streams ||= streams;
  }

  /**
   * A handler has a result. Unless the lock lasts longer, it is released before the result is passed on.
   * @param isBusy whether the handler still runs because an interceptor has given up
   */
  settled(scope: CallScope, isBusy: boolean): Promise<LockLostError | undefined> {
    if (isBusy || this.lastsWithResponse || this.handlers > 1) return scope.settle();
    // A handler that comes during the release needs another lock.
    this.end();
    return scope.leave();
  }

  /** A handler has settled and its end is reported, or its result is not wanted any more. */
  leave(): void {
    this.handlers--;
    this.endIfOver();
    if (this.handlers === 0 && !this.hasEnded) this.lookLater();
  }

  /** Alarm */
  ring(): void {
    if (!this.isOpen) return;
    if (isOver(this.response!) || (this.handlers === 0 && isMute(this.response!))) this.responseOver();
    else this.lookLater();
  }

  private get lastsWithResponse(): boolean {
    return this.isOpen && this.wantsResponse;
  }

  private lookLater(): void {
    looks.set(this, systemClock.now() + LOOK_MS);
  }

  private responseOver(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.stopWaiting();
    this.endIfOver();
  }

  /** No response is awaited any more. */
  private stopWaiting(): void {
    this.waiting.abort(new AcquireTimeoutError(this.key, { cause: new Error('the response is over') }));
  }

  private endIfOver(): void {
    if (this.handlers > 0 || this.lastsWithResponse) return;
    this.end();
    this.waiting.abort();
    this.scope.then(
      (scope) => scope.leave(),
      () => undefined,
    );
  }

  private end(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    looks.cancel(this);
    this.ended();
  }

  /** The response being sent is not protected any more, so it must not look complete. */
  private lost(loss: Error): void {
    if (this.isSending && !isOver(this.response!)) this.response!.destroy?.(loss);
  }

  /** Whether the response is being sent, so that it cannot report the loss any more. */
  private get isSending(): boolean {
    if (this.handlers === 0) return this.lastsWithResponse;
    return this.isOpen && !this.streams && this.response!.headersSent === true;
  }
}

const locks = shared('request-locks', () => new WeakMap<RawResponse, Map<string, RequestLock>>());

/**
 * The lock of a request by its name, or a new one.
 * @param make receives a function that the lock calls when it has ended
 */
export function requestLock(
  response: RawResponse | undefined,
  name: string,
  make: (ended: () => void) => RequestLock,
): RequestLock {
  if (!response) return make(() => undefined);
  const own = locks.get(response) ?? new Map<string, RequestLock>();
  locks.set(response, own);
  let lock = own.get(name);
  if (!lock) own.set(name, (lock = make(() => own.delete(name))));
  return lock;
}
