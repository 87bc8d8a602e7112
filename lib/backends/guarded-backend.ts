import { BackendError, LockError } from '../common/errors.js';
import { rejected } from '../common/rejected.js';
import { show, shown } from '../common/shown.js';
import type { Ms } from '../common/system.js';
import { isThenable } from '../common/thenables.js';
import type {
  AcquireRequest,
  BackendHost,
  Capabilities,
  Grant,
  LinkEvent,
  LockBackend,
  LockKind,
  Pending,
  Proof,
  Released,
  RenewalRequest,
  SignalTaker,
  Waiter,
} from './backend.js';

/** Returns a LockError as it is, and wraps anything else that a backend threw in a BackendError. */
export const failureOf = (name: string, method: string, error: unknown): LockError =>
  error instanceof LockError
    ? error
    : new BackendError(`the backend ${shown(name)} failed in ${method}: ${show(error)}`, { cause: error });

/**
 * Whether both times are numbers. A string would be concatenated instead of added, and the lease would last for days.
 */
export const isProof = (proof: Proof | null | undefined): boolean =>
  typeof proof?.validFrom === 'number' &&
  typeof proof.leaseMs === 'number' &&
  !Number.isNaN(proof.validFrom + proof.leaseMs);

const misfit = (name: string, method: string, expected: string, got: unknown): BackendError =>
  new BackendError(`the backend ${shown(name)} failed in ${method}: expected ${expected}, got ${show(got)}`);

/** A renewal whose answer is checked. */
class GuardedRenewal implements RenewalRequest {
  readonly grant: Grant;
  readonly leaseMs: Ms;

  constructor(
    private readonly request: RenewalRequest,
    private readonly name: string,
  ) {
    this.grant = request.grant;
    this.leaseMs = request.leaseMs;
  }

  renewed(proof: Proof): void {
    if (isProof(proof)) this.request.renewed(proof);
    else this.request.failed(misfit(this.name, 'renewAll', 'a proof', proof));
  }

  failed(error: unknown): void {
    this.request.failed(failureOf(this.name, 'renewAll', error));
  }
}

const nothing = (): void => undefined;

/**
 * Wraps a custom backend and contains its bugs. Errors that it throws, or that its promises reject with, become typed
 * errors; where no caller can receive them, they become a warning in the log.
 */
export class GuardedBackend<S> implements LockBackend<S> {
  readonly name: string;
  readonly renewAll?: (requests: readonly RenewalRequest[]) => void;
  readonly isLocked?: (key: string, kind: LockKind) => Promise<boolean>;
  readonly publish?: (channel: string, payload: string) => Promise<number>;
  readonly subscribe?: (pattern: string, group: string | undefined, taker: SignalTaker) => () => void;
  readonly onSuspect?: (callback: (grant?: Grant) => void) => () => void;

  constructor(
    private readonly inner: LockBackend<S>,
    private readonly host: Pick<BackendHost, 'clock' | 'log'>,
  ) {
    this.name = String(inner.name);
    if (inner.renewAll) this.renewAll = (requests) => this.renewMany(requests);
    if (inner.isLocked) this.isLocked = (key, kind) => this.ask('isLocked', () => inner.isLocked!(key, kind));
    if (inner.publish) {
      this.publish = (channel, payload) => this.ask('publish', () => inner.publish!(channel, payload));
    }
    if (inner.subscribe) this.subscribe = (pattern, group, taker) => this.listen(pattern, group, taker);
    if (inner.onSuspect) {
      this.onSuspect = (callback) => this.watch('onSuspect', () => inner.onSuspect!(callback));
    }
  }

  get capabilities(): Capabilities {
    try {
      return this.inner.capabilities;
    } catch (error) {
      throw this.failure('capabilities', error);
    }
  }

  async start(): Promise<Capabilities> {
    const capabilities: unknown = await this.ask('start', () => this.inner.start());
    if (typeof capabilities === 'object' && capabilities !== null) return capabilities as Capabilities;
    throw this.misfit('start', 'capabilities', capabilities);
  }

  tryAcquire(req: AcquireRequest): Promise<Grant | null> {
    try {
      return this.inner.tryAcquire(req).then(undefined, this.tryFailed);
    } catch (error) {
      return rejected(this.failure('tryAcquire', error));
    }
  }

  /** The waiter is not wrapped, because every acquired lock has one; it receives the errors itself. */
  enqueue(req: AcquireRequest, mode: 'queue' | 'ticket', waiter: Waiter): Pending {
    let pending: Pending;
    try {
      pending = this.inner.enqueue(req, mode, waiter);
      if (typeof pending.cancel === 'function') return pending;
    } catch (error) {
      throw this.failure('enqueue', error);
    }
    // An async implementation, which may still call the waiter.
    if (isThenable(pending)) return this.pendingLater(pending, waiter);
    throw this.misfit('enqueue', 'a Pending', pending);
  }

  renew(grant: Grant, leaseMs: Ms): Promise<Proof> {
    try {
      return this.inner.renew(grant, leaseMs).then(this.proven, this.renewFailed);
    } catch (error) {
      return rejected(this.failure('renew', error));
    }
  }

  release(grant: Grant, done: (outcome: Released) => void, keepMs?: Ms): void {
    let returned: unknown;
    try {
      returned = this.inner.release(grant, done, keepMs);
    } catch (error) {
      return done(this.failure('release', error));
    }
    if (isThenable(returned)) returned.then(undefined, (error: unknown) => done(this.failure('release', error)));
  }

  abandon(grant: Grant): void {
    try {
      this.settle('abandon', this.inner.abandon(grant));
    } catch (error) {
      this.warn('abandon', error);
    }
  }

  stats(): Promise<S[]> {
    return this.ask('stats', () => this.inner.stats());
  }

  ping(): Promise<void> {
    return this.ask('ping', () => this.inner.ping());
  }

  onLink(callback: (event: LinkEvent) => void): () => void {
    return this.watch('onLink', () => this.inner.onLink(callback));
  }

  /** Has a time limit, so that a backend that never finishes closing cannot keep the application alive. */
  close(graceMs: Ms): Promise<void> {
    const { clock } = this.host;
    const patienceMs = 2 * graceMs;
    return this.ask('close', async () => {
      let timer: object | undefined;
      const late = new Promise<never>((_, reject) => {
        const tooLate = (): void => reject(new Error(`no answer within ${patienceMs / 1000} s`));
        timer = clock.setTimer(tooLate, patienceMs, true);
      });
      try {
        await Promise.race([this.inner.close(graceMs), late]);
      } finally {
        clock.clearTimer(timer!);
      }
    });
  }

  private readonly tryFailed = (error: unknown): never => {
    throw this.failure('tryAcquire', error);
  };

  private readonly renewFailed = (error: unknown): never => {
    throw this.failure('renew', error);
  };

  private readonly proven = (proof: Proof): Proof => {
    if (isProof(proof)) return proof;
    throw this.misfit('renew', 'a proof', proof);
  };

  private renewMany(requests: readonly RenewalRequest[]): void {
    const guarded = requests.map((request) => new GuardedRenewal(request, this.name));
    const failed = (error: unknown): void => {
      // The requests ignore this if they have been answered.
      for (const request of guarded) request.failed(error);
    };
    let returned: unknown;
    try {
      returned = this.inner.renewAll!(guarded);
    } catch (error) {
      return failed(error);
    }
    if (isThenable(returned)) returned.then(undefined, failed);
  }

  private failure(method: string, error: unknown): LockError {
    return failureOf(this.name, method, error);
  }

  private misfit(method: string, expected: string, got: unknown): BackendError {
    return misfit(this.name, method, expected, got);
  }

  private warn(method: string, error: unknown): void {
    this.host.log('warn', this.failure(method, error).message);
  }

  private async ask<T>(method: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw this.failure(method, error);
    }
  }

  /** Logs the rejection of a promise returned where none was expected. */
  private settle(method: string, returned: unknown): void {
    if (isThenable(returned)) returned.then(undefined, (error: unknown) => this.warn(method, error));
  }

  private watch(method: string, begin: () => unknown): () => void {
    let stop: unknown;
    try {
      stop = begin();
    } catch (error) {
      throw this.failure(method, error);
    }
    this.settle(method, stop);
    return () => this.stop(method, stop);
  }

  private listen(pattern: string, group: string | undefined, taker: SignalTaker): () => void {
    let stop: unknown;
    try {
      stop = this.inner.subscribe!(pattern, group, taker);
    } catch (error) {
      throw this.failure('subscribe', error);
    }
    if (isThenable(stop)) stop.then(undefined, (error: unknown) => taker.failed(this.failure('subscribe', error)));
    return () => this.stop('subscribe', stop);
  }

  private stop(method: string, stop: unknown): void {
    if (isThenable(stop)) return void stop.then((later) => this.stop(method, later), nothing);
    if (typeof stop !== 'function') return;
    try {
      this.settle(method, (stop as () => unknown)());
    } catch (error) {
      this.warn(method, error);
    }
  }

  private pendingLater(pending: PromiseLike<unknown>, waiter: Waiter): Pending {
    pending.then(undefined, (error: unknown) => waiter.refused(this.failure('enqueue', error)));
    const cancel = (): void => {
      pending.then((later) => (later as Partial<Pending> | undefined)?.cancel?.(), nothing).then(undefined, nothing);
    };
    return { cancel };
  }
}
