import type { AcquireRequest, Grant, LockBackend, Placement } from '../../lib/backends/backend.js';
import { Deferred } from '../../lib/common/deferred.js';

/** A wait as promises. */
export interface Waiting {
  readonly placed: Promise<Placement>;
  readonly grant: Promise<Grant>;
  /** Gives up; both promises reject with the reason, unless they are settled. */
  cancel(reason: unknown): void;
}

/** LockBackend.enqueue as promises. Fails if the backend says anything after its last word. */
export function enqueue(backend: LockBackend, req: AcquireRequest, mode: 'queue' | 'ticket' = 'queue'): Waiting {
  const placed = new Deferred<Placement>().quiet();
  const grant = new Deferred<Grant>().quiet();
  let over = false;
  const last = (settle: () => void): void => {
    if (over) throw new Error(`${req.key}: the waiter was told something after the last word`);
    over = true;
    settle();
  };
  const refuse = (reason: unknown): void => {
    placed.reject(reason);
    grant.reject(reason);
  };
  const pending = backend.enqueue(req, mode, {
    onPlaced: (place) => placed.resolve(place),
    granted: (given) =>
      last(() => {
        placed.resolve('acquired');
        grant.resolve(given);
      }),
    refused: (error) => last(() => refuse(error)),
  });
  const cancel = (reason: unknown): void => {
    if (!over) refuse(reason);
    over = true;
    pending.cancel();
  };
  return { placed: placed.promise, grant: grant.promise, cancel };
}

/** LockBackend.release as a promise. */
export function release(backend: LockBackend, grant: Grant, keepMs?: number): Promise<'released' | 'gone'> {
  return new Promise((resolve, reject) => {
    backend.release(grant, (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)), keepMs);
  });
}
