import { AcquireTimeoutError, type LockLostError } from '../common/errors.js';
import { shared } from '../common/shared-state.js';
import type { RawResponse } from './request-end.js';
import type { CallScope } from './service-holder.js';

/**
 * A lock of a request: held while a handler works on it, and until the response has closed, where there is one. Several
 * handlers of one request (fields of a GraphQL operation) share it: each waiting for the other's would be waiting for the
 * end of their own request.
 */
export class RequestLock {
  private readonly waiting = new AbortController();
  private handlers = 0;
  private isOpen: boolean;
  readonly scope: Promise<CallScope>;

  /** @param enter takes the lock, until its signal aborts */
  constructor(
    key: string,
    enter: (signal: AbortSignal) => Promise<CallScope>,
    private readonly response: RawResponse | undefined,
  ) {
    this.isOpen = response !== undefined && !response.closed && !response.destroyed;
    this.scope = enter(this.waiting.signal);
    this.scope.then(
      (scope) => {
        scope.onLoss((loss) => this.lost(loss));
        this.endIfOver();
      },
      () => undefined,
    );
    if (!this.isOpen) return;
    response!.once('close', () => {
      this.isOpen = false;
      // Nobody is there any more for whom to wait.
      this.waiting.abort(new AcquireTimeoutError(key, { cause: new Error('the client has gone') }));
      this.endIfOver();
    });
  }

  enter(): void {
    this.handlers++;
  }

  /** A handler has settled: where nothing is to be sent yet, the lock is free before its end is told. */
  settled(scope: CallScope): Promise<LockLostError | undefined> {
    return this.isOpen || this.handlers > 1 ? scope.settle() : scope.leave();
  }

  /** A handler's end is told, or nobody wants its result any more. */
  leave(): void {
    this.handlers--;
    this.endIfOver();
  }

  private endIfOver(): void {
    if (this.handlers > 0 || this.isOpen) return;
    this.waiting.abort();
    this.scope.then(
      (scope) => scope.leave(),
      () => undefined,
    );
  }

  /** What is being sent to the client is not protected any more: it must not look complete. */
  private lost(loss: Error): void {
    if (this.handlers === 0 && this.isOpen && !this.response!.writableFinished) this.response!.destroy(loss);
  }
}

const locks = shared('request-locks', () => new WeakMap<RawResponse, Map<string, RequestLock>>());

/** The lock of a request by its name, or a new one. */
export function requestLock(response: RawResponse | undefined, name: string, make: () => RequestLock): RequestLock {
  if (!response) return make();
  const own = locks.get(response) ?? new Map<string, RequestLock>();
  locks.set(response, own);
  let lock = own.get(name);
  if (!lock) {
    own.set(name, (lock = make()));
    lock.scope.catch(() => own.delete(name));
  }
  return lock;
}
