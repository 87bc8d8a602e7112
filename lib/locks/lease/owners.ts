import type { Owner } from '../../backends/backend.js';
import type { Linked, LinkedList } from '../../common/linked-list.js';
import type { Ms } from '../../common/system.js';
import { isThenable } from '../../common/thenables.js';

/** The leases that hang on one owner; a listener for each would cost more memory than the lease. */
export interface Bunch<L extends Linked<L>> {
  readonly leases: LinkedList<L>;
  readonly unsubscribe: () => void;
}

/** As Owner.provenUntil(). What an owner that fails vouches for is not held. */
export function provenBy(owner: Owner): Ms {
  try {
    return owner.provenUntil();
  } catch {
    return -Infinity;
  }
}

/** Calls what onLost() returned. The lease has ended, whether that fails or is no function. */
export function stopListening(unsubscribe: unknown): void {
  if (typeof unsubscribe !== 'function') return;
  try {
    const returned: unknown = unsubscribe();
    if (isThenable(returned)) returned.then(undefined, () => undefined);
  } catch {
    // What is still said to a lease that has ended is ignored.
  }
}
