import type { LockLostError } from '../../common/errors.js';

/** How the holder of a lock is told to stop; made when somebody wants to be told. */
export class HolderSignal {
  private readonly controller = new AbortController();
  private readonly listeners = new Set<(loss: LockLostError) => void>();

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Returns how to stop that. */
  onLoss(listener: (loss: LockLostError) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** The signal aborts; only the first reason counts. */
  abort(reason: Error): void {
    this.controller.abort(reason);
  }

  /** The signal aborts, then the listeners are called. What one throws keeps nobody else from being told. */
  lost(loss: LockLostError): void {
    this.abort(loss);
    for (const listener of this.listeners) {
      try {
        listener(loss);
      } catch (error) {
        // As what listeners of an AbortSignal throw: an uncaught exception.
        globalThis.queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
