import { type Alarm, Alarms } from '../../common/alarms.js';
import { AcquireTimeoutError, type LockLostError } from '../../common/errors.js';
import { shared } from '../../common/shared-state.js';
import { type Ms, systemClock } from '../../common/system.js';
import { isMute, isOver, isPipelined, onEnd, type RawResponse } from './response.js';
import type { CallScope } from '../methods/service-ref.js';

/** How long a request lock lasts: to the end of the response, or of its handlers. */
export type Until = 'response' | 'handler';

/** A response is looked at so often, if its handlers have settled or it is pipelined, in case its end was not told. */
const LOOK_MS: Ms = 1000;
const looks = new Alarms(systemClock);

/**
 * A lock of a request: held until all handlers that work on it have settled and, where one of them wants it, the response is
 * over. Several handlers of one request (fields of a GraphQL operation) share it: each waiting for the other's would be
 * waiting for the end of their own request.
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
   * @param enter takes the lock, until its signal aborts
   * @param ended called once, when no other handler may share it any more
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
    // The client may have left while the guards were at work.
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
   * @param isBusy whether the handler still runs: an interceptor has given up
   */
  settled(scope: CallScope, isBusy: boolean): Promise<LockLostError | undefined> {
    if (isBusy || this.lastsWithResponse || this.handlers > 1) return scope.settle();
    // Who comes while it is given back needs another.
    this.end();
    return scope.leave();
  }

  /** A handler has settled, and its end is told, or nobody wants its result any more. */
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

  /** Nobody is waiting for an answer any more. */
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

  /** What is being sent to the client is not protected any more: it must not look complete. */
  private lost(loss: Error): void {
    if (this.isSending && !isOver(this.response!)) this.response!.destroy?.(loss);
  }

  /** Whether the response is on its way, so that the loss cannot be told by it any more. */
  private get isSending(): boolean {
    if (this.handlers === 0) return this.lastsWithResponse;
    return this.isOpen && !this.streams && this.response!.headersSent === true;
  }
}

const locks = shared('request-locks', () => new WeakMap<RawResponse, Map<string, RequestLock>>());

/** The lock of a request by its name, or a new one. @param make is given what the lock calls when it has ended */
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
