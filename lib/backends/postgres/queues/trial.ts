import type { Ms } from '../../../common/system.js';

/**
 * A try on the command connection. Its answer is `granted`, `refused`, `dropped` or `tryFailed` of its queue, perhaps before `send` returns;
 * it comes in any case, wanted or not.
 */
export interface Trial {
  readonly isDropped: boolean;
  /** When the first caller came for whom it was not sent: somebody may have released the lock since. Undefined: there is none. */
  readonly revivedAt: Ms | undefined;
  send(): void;
  /** Nobody waits for its answer any more. */
  drop(): void;
  /** Somebody does again. */
  revive(now: Ms): void;
}
