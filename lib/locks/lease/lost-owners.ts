import type { Owner } from '../../backends/backend.js';
import type { LossReason } from '../../common/errors.js';
import { type Linked, LinkedList } from '../../common/linked-list.js';
import { isThenable } from '../../common/thenables.js';

/** The leases of one owner. A listener per lease would take more memory than the lease. */
export interface Bunch<L extends Linked<L>> {
  readonly leases: LinkedList<L>;
  readonly unsubscribe: () => void;
}

/** A lease that ends with its owner. */
interface Losing<L> extends Linked<L> {
  lose(reason: LossReason, cause?: Error): void;
}

/** The bunch of this owner. A new one listens: when the owner, usually a connection, ends, all its leases are lost. */
export function bunchOf<L extends Losing<L>>(bunches: Map<Owner, Bunch<L>>, owner: Owner): Bunch<L> {
  let bunch = bunches.get(owner);
  if (!bunch) {
    const leases = new LinkedList<L>();
    // In the turn in which the owner is lost (rule 1).
    const unsubscribe = owner.onLost((reason, error) => {
      for (const lease of [...leases]) lease.lose(reason, error);
    });
    bunch = { leases, unsubscribe };
    bunches.set(owner, bunch);
  }
  return bunch;
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
