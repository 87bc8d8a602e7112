import type { LockError } from '../../../common/errors.js';

/** What the lanes to one server have learned about it, shared by all of them. */
export class ServerRecord {
  /** Whether it has ever replied as dflockd does, with this client's TLS options and token. */
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

  /** The server has answered a new connection. */
  worked(): void {
    this.hasWorked = true;
    this.hasRefused = false;
  }

  /** The server has worked before and refuses this client now. Reported once until it works again. */
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
