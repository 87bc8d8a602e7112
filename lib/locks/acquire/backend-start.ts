import type { BackendHost, Capabilities, LockBackend } from '../../backends/backend.js';
import { isTransient } from '../../common/transient.js';

/** Starts a backend once for all callers, and again after a failed start. */
export class BackendStart {
  /** Set once a start has succeeded. */
  capabilities: Capabilities | undefined;
  /** What the backend declared before its start, set once a server has been reached. */
  private promised: Capabilities | undefined;
  private running: Promise<void> | undefined;
  private failed = false;

  constructor(private readonly backend: LockBackend) {}

  /**
   * Whether waiting for the start is pointless: it has succeeded, or it has found no server, in which case the backend
   * keeps trying and reports itself what it can do meanwhile.
   */
  get isDecided(): boolean {
    return this.capabilities !== undefined || this.failed;
  }

  /** What is known so far. A start can fail because of one of several servers for as long as that one is down. */
  get known(): Capabilities | undefined {
    return this.capabilities ?? this.promised;
  }

  /** @throws the error of the backend's start; the next call tries again */
  run(): Promise<void> {
    return (this.running ??= new Promise<Capabilities>((resolve) => resolve(this.backend.start())).then(
      (capabilities) => {
        this.capabilities = Object.freeze({ ...capabilities });
      },
      (error: unknown) => {
        // A token, a certificate, a port in use: the cause may have been fixed by then.
        this.running = undefined;
        if (isTransient(error)) this.failed = true;
        throw error;
      },
    ));
  }

  /**
   * Starts as the option `startup` says. With `connect`, a transient error is only a warning.
   * @throws the error of the backend's start
   */
  async runAs(startup: 'connect' | 'require' | 'lazy', log: BackendHost['log']): Promise<void> {
    if (startup === 'lazy') return;
    try {
      await this.run();
    } catch (error) {
      if (startup !== 'connect' || !isTransient(error)) throw error;
      log('warn', `no connection yet: ${(error as Error).message}; retrying`);
    }
  }

  /** A server is reachable, so the capabilities that an earlier start could not read are known now. */
  linkUp(): void {
    this.promised ??= Object.freeze({ ...this.backend.capabilities });
    if (this.failed && !this.capabilities) this.run().catch(() => undefined);
  }
}
