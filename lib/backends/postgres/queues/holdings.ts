import { MaxLocksError } from '../../../common/errors.js';

/** The part of the limit from which operators are warned. */
const CROWDED = 0.8;

/**
 * How many advisory locks this process has, tries for or waits for. They take room in the server's table of locks, which it needs for
 * the statements of everybody else too. Each counts from before it is asked for until the server certainly has nothing because of it,
 * whether or not anybody still waits for it.
 */
export class Holdings {
  /** `maxHeld` */
  limit = Infinity;
  count = 0;
  private isCrowded = false;

  /** @param crowded called when the number comes close to the limit */
  constructor(private readonly crowded: (detail: string) => void) {}

  /** Whether there is room for one more. */
  get hasRoom(): boolean {
    return this.count < this.limit;
  }

  /** Adds to the count, if the limit allows it. */
  take(more = 1): boolean {
    if (this.count + more > this.limit) return false;
    this.count += more;
    if (this.count >= CROWDED * this.limit) this.tell();
    else this.isCrowded = false;
    return true;
  }

  /** Subtracts locks that the server certainly does not have any more: never taken, released, or gone with their session. */
  give(fewer = 1): void {
    this.count -= fewer;
  }

  /** The error for a caller for whom there is no room. */
  error(key: string, server: string): MaxLocksError {
    const text = `this process has ${this.limit} locks of the database, as many as it may (option postgresBackend.maxHeld)`;
    return new MaxLocksError({ key, server }, text);
  }

  private tell(): void {
    if (this.isCrowded) return;
    this.isCrowded = true;
    this.crowded(
      `this process has ${this.count} locks of the database; at ${this.limit}, acquires fail (option postgresBackend.maxHeld; the server has room for ` +
        'max_locks_per_transaction × (max_connections + max_prepared_transactions), which all its sessions share)',
    );
  }
}
