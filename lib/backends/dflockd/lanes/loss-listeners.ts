import type { LockError, LossReason } from '../../../common/errors.js';
import { microtask } from '../../../common/system.js';

export type LostCallback = (reason: LossReason, error?: Error) => void;

/**
 * Those whose locks hang on a lane. They are told once, in the turn in which it ends; the
 * next stop is the listener in LeaseKeeper.bunchOf.
 */
export class LossListeners {
  private readonly callbacks = new Set<LostCallback>();
  private loss: { readonly reason: LossReason; readonly error: LockError } | undefined;

  /** Who comes after the end is told in a microtask. Returns the unsubscription. */
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
