import type { LockError } from '../../common/errors.js';
import type { Clock, Ms } from '../../common/system.js';

/** A request to Redis. */
export interface Call {
  /** When it was sent. */
  sentAt: Ms;
  answered(reply: unknown): void;
  failed(error: LockError): void;
}

/** All requests that wait for an answer. The driver answers each of them, with an error if the server is silent. */
export class Calls {
  /** How many have been sent. */
  count = 0;
  private open = 0;
  private whenIdle: (() => void) | undefined;

  constructor(private readonly clock: Clock) {}

  /** @param run sends it; called at once. Rejects with a LockError */
  send(call: Call, run: () => Promise<unknown>): void {
    this.count++;
    this.open++;
    call.sentAt = this.clock.now();
    run().then(
      (reply) => {
        this.close();
        call.answered(reply);
      },
      (error: LockError) => {
        this.close();
        call.failed(error);
      },
    );
  }

  /** Calls back as soon as nothing waits for an answer. */
  idle(callback: () => void): void {
    if (this.open === 0) callback();
    else this.whenIdle = callback;
  }

  private close(): void {
    this.open--;
    if (this.open > 0 || !this.whenIdle) return;
    const tell = this.whenIdle;
    this.whenIdle = undefined;
    // The requests that follow from this answer are made in this turn.
    this.clock.endOfTurn(() => this.idle(tell));
  }
}
