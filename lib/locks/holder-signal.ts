import type { LockLostError } from '../common/errors.js';

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

  /** The signal aborts, then the listeners are called. */
  lost(loss: LockLostError): void {
    this.abort(loss);
    this.listeners.forEach((listener) => listener(loss));
  }
}
