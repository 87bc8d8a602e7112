import type { LockError, LossReason } from '../../../common/errors.js';
import { microtask } from '../../../common/system.js';

export type LostCallback = (reason: LossReason, error?: Error) => void;

/**
 * The holders whose locks a lane owns. They are told once, in the turn in which it ends; the next stop is the listener in
 * `bunchOf` in locks/lease/lost-owners.ts. The LockLostError of a holder is made in locks/handle/lock-lost-error.ts.
 */
export class LossListeners {
  private readonly callbacks = new Set<LostCallback>();
  private loss: { readonly reason: LossReason; readonly error: LockError } | undefined;

  /** Added after the end, the callback is called in a microtask. Returns a function that unsubscribes. */
  add(callback: LostCallback): () => void {
    if (this.loss) {
      const { reason, error } = this.loss;
      let wanted = true;
      microtask(() => wanted && callback(reason, error));
      return () => (wanted = false);
    }
    this.callbacks.add(callback);
    return () => this.callbacks.delete(callback);
  }

  tell(reason: LossReason, error: LockError): void {
    this.loss = { reason, error };
    const callbacks = [...this.callbacks];
    this.callbacks.clear();
    for (const lost of callbacks) lost(reason, error);
  }
}
