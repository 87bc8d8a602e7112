import type { BackendHost, Capabilities, LockBackend } from '../../backends/backend.js';
import { isTransient } from '../../common/transient.js';

/** The start of a backend: once, however many ask for it, and again after one that has failed. */
export class BackendStart {
  /** Known once a start has succeeded. */
  capabilities: Capabilities | undefined;
  /** What the backend promised before its start, once a server has been reached. */
  private promised: Capabilities | undefined;
  private running: Promise<void> | undefined;
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
    return (this.running ??= new Promise<Capabilities>((resolve) => resolve(this.backend.start())).then(
      (capabilities) => {
        this.capabilities = Object.freeze({ ...capabilities });
      },
      (error: unknown) => {
        // A token, a certificate, a port that is in use: what was wrong may have been put right.
        this.running = undefined;
        if (isTransient(error)) this.failed = true;
        throw error;
      },
    ));
  }

  /** As the option `startup` says: with `connect`, what is transient is only a warning. @throws what the backend's start throws */
  async runAs(startup: 'connect' | 'require' | 'lazy', log: BackendHost['log']): Promise<void> {
    if (startup === 'lazy') return;
    try {
      await this.run();
    } catch (error) {
      if (startup !== 'connect' || !isTransient(error)) throw error;
      log('warn', `no connection yet: ${(error as Error).message}; retrying`);
    }
  }

  /** A server can be reached: what an earlier start could not learn is learnt now. */
  linkUp(): void {
    this.promised ??= Object.freeze({ ...this.backend.capabilities });
    if (this.failed && !this.capabilities) this.run().catch(() => undefined);
  }
}
