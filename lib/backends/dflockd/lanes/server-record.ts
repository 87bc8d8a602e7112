import type { LockError } from '../../../common/errors.js';

/** What the lanes to one server have found out about it, for all of them. */
export class ServerRecord {
  /** Whether it has ever answered as dflockd, with this client's TLS options and token. */
  hasWorked = false;
  private hasRefused = false;

  /**
   * @param degraded tells the user
   * @param linked whether a command lane is connected
   */
  constructor(
    private readonly degraded: (detail: string) => void,
    private readonly linked: () => boolean,
  ) {}

  get isLinked(): boolean {
    return this.linked();
  }

  /** It has answered a new connection. */
  worked(): void {
    this.hasWorked = true;
    this.hasRefused = false;
  }

  /** It has worked, and says no now. Told once until it works again. */
  refused(error: LockError): void {
    if (this.hasRefused) return;
    this.hasRefused = true;
    this.tell(
      `${error.message}; it accepted this client before, so the client keeps trying (remote.reconnect.maxDelayMs)`,
    );
  }

  tell(detail: string): void {
    this.degraded(detail);
  }
}
