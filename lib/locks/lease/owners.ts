import type { Owner } from '../../backends/backend.js';
import type { Linked, LinkedList } from '../../common/linked-list.js';
import type { Ms } from '../../common/system.js';
import { isThenable } from '../../common/thenables.js';

/** The leases of one owner. A listener per lease would take more memory than the lease. */
export interface Bunch<L extends Linked<L>> {
  readonly leases: LinkedList<L>;
  readonly unsubscribe: () => void;
}

/** Like Owner.provenUntil(). An owner that throws proves nothing. */
export function provenBy(owner: Owner): Ms {
  try {
    return owner.provenUntil();
  } catch {
    return -Infinity;
  }
}

/** Calls the function that onLost() returned. The lease has ended, even if that throws or is not a function. */
export function stopListening(unsubscribe: unknown): void {
  if (typeof unsubscribe !== 'function') return;
  try {
    const returned: unknown = unsubscribe();
    if (isThenable(returned)) returned.then(undefined, () => undefined);
  } catch {
    // Later calls are ignored, because the lease has ended.
  }
}
