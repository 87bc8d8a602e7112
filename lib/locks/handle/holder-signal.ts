import type { LockLostError } from '../../common/errors.js';

/** Tells the holder of a lock to stop, once `HeldLock.lose` has recorded the loss. Created when it is first needed. */
export class HolderSignal {
  private readonly controller = new AbortController();
  private readonly listeners = new Set<(loss: LockLostError) => void>();

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Returns a function that unsubscribes. */
  onLoss(listener: (loss: LockLostError) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Aborts the signal; only the first reason counts. */
  abort(reason: Error): void {
    this.controller.abort(reason);
  }

  /** Aborts the signal, then calls the listeners. An error thrown by one does not keep the others from being called. */
  lost(loss: LockLostError): void {
    this.abort(loss);
    for (const listener of this.listeners) {
      try {
        listener(loss);
      } catch (error) {
        // Like an error thrown by a listener of an AbortSignal: an uncaught exception.
        globalThis.queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
