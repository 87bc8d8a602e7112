import type { Entropy, Ms } from '../../../common/system.js';
import { Backoff } from '../../../common/backoff.js';

const MIN_PAUSE_MS: Ms = 25;
const MAX_PAUSE_MS: Ms = 250;
const PAUSE_FLOOR = 0.5;

/** The pauses of a key queue between tries and after failed attempts. They grow until an attempt succeeds. */
export class RetryPauses {
  private readonly usual: Backoff;
  /** After a bare `error`, each of which costs a connection. No dflockd replies like this for long. */
  private readonly doubtful: Backoff;

  constructor(entropy: Entropy, reconnectMs: Ms) {
    this.usual = new Backoff(MIN_PAUSE_MS, MAX_PAUSE_MS, entropy, PAUSE_FLOOR);
    this.doubtful = new Backoff(MIN_PAUSE_MS, Math.max(MAX_PAUSE_MS, reconnectMs), entropy, PAUSE_FLOOR);
  }

  /** @param afterDoubt the server replied with a bare `error` */
  next(afterDoubt = false): Ms {
    return (afterDoubt ? this.doubtful : this.usual).next();
  }

  reset(): void {
    this.usual.reset();
    this.doubtful.reset();
  }
}
