import type { Ms } from '../../../common/system.js';

/**
 * A try on the command connection. Its answer is `granted`, `refused`, `dropped` or `tryFailed` of its queue, perhaps before
 * `send` returns. It comes in any case, wanted or not.
 */
export interface Trial {
  readonly isDropped: boolean;
  /**
   * When the first caller arrived that came after it was sent: somebody may have released the lock since. Undefined: there is no
   * such caller.
   */
  readonly revivedAt: Ms | undefined;
  send(): void;
  /** Nobody waits for its answer any more. */
  drop(): void;
  /** A caller waits for its answer again. */
  revive(now: Ms): void;
}
