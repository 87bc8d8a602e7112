import type { Capabilities, LockBackend } from '../../backends/backend.js';
import { LockUnavailableError } from '../../common/errors.js';

/** The start of a backend: once, however many ask for it, and again after one that has failed. */
export class BackendStart {
  /** Known once a start has succeeded. */
  capabilities: Capabilities | undefined;
  /** What the backend promised before its start, once a server has been reached. */
  private promised: Capabilities | undefined;
  private attempt: Promise<void> | undefined;
  private failed = false;

  constructor(private readonly backend: LockBackend) {}

  /**
   * Whether it is of no use to wait for the start: it has succeeded, or it has found no server, in which case the backend
   * goes on trying and says itself what it can do meanwhile.
   */
  get isDecided(): boolean {
    return this.capabilities !== undefined || this.failed;
  }

  /** What is known: a start may fail over one of several servers for as long as that is down. */
  get known(): Capabilities | undefined {
    return this.capabilities ?? this.promised;
  }

  /** @throws what the backend's start throws; the next call tries again */
  run(): Promise<void> {
    return (this.attempt ??= this.backend.start().then(
      (capabilities) => {
        this.capabilities = Object.freeze({ ...capabilities });
      },
      (error: unknown) => {
        // A token, a certificate, a port that is in use: what was wrong may have been put right.
        this.attempt = undefined;
        if (error instanceof LockUnavailableError) this.failed = true;
        throw error;
      },
    ));
  }

  /** A server can be reached: what an earlier start could not learn is learnt now. */
  linkUp(): void {
    this.promised ??= Object.freeze({ ...this.backend.capabilities });
    if (this.failed && !this.capabilities) this.run().catch(() => undefined);
  }
}
