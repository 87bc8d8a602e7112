import type { Ms } from '../../lib/common/system.js';
import type { EngineObserver, FreedBy, LeftBy, Refusal } from '../../lib/core/observer.js';
import type { Kind } from '../../lib/protocol/messages.js';

/** Counts what an engine does, and notes it as text. */
export class CountingObserver implements EngineObserver {
  readonly notes: string[] = [];
  /** Grants that have not been freed. */
  held = 0;
  /** Waiters that have neither left nor been granted. */
  waiting = 0;

  granted(kind: Kind, key: string, waitedMs: Ms, _hold: unknown, waiter: unknown): void {
    this.held++;
    if (waiter) this.waiting--;
    this.notes.push(`granted ${kind} ${key} ${waiter ? 'after' : 'at once'} ${waitedMs}`);
  }

  freed(kind: Kind, key: string, heldMs: Ms, by: FreedBy): void {
    this.held--;
    this.notes.push(`freed ${kind} ${key} ${by} after ${heldMs}`);
  }

  queued(kind: Kind, key: string, length: number): void {
    this.waiting++;
    this.notes.push(`queued ${kind} ${key} ${length}`);
  }

  left(kind: Kind, key: string, waitedMs: Ms, by: LeftBy): void {
    this.waiting--;
    this.notes.push(`left ${kind} ${key} ${by} after ${waitedMs}`);
  }

  refused(status: Refusal): void {
    this.notes.push(`refused ${status}`);
  }

  extended(kind: Kind, key: string): void {
    this.notes.push(`extended ${kind} ${key}`);
  }

  /** What has been noted since the last call. */
  take(): string[] {
    return this.notes.splice(0);
  }
}
