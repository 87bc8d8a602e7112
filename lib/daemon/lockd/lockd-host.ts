import type { Ms } from '../../common/system.js';
import type { ContainedSessionHost } from '../fairness/contained-session.js';

/** What the sessions of this listener share. */
export interface LockdHost extends ContainedSessionHost {
  /** 0 = none. */
  readonly writeTimeoutMs: Ms;
}
