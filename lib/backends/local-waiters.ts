import type { AcquireRequest } from './backend.js';

/**
 * The keys that callers of this process wait for. While somebody waits, nobody tries past them: the try could win in the
 * moment in which the lock is free and the waiter's connection is not ready.
 */
export class LocalWaiters {
  private readonly counts = new Map<string, number>();

  has(req: AcquireRequest): boolean {
    return this.counts.size > 0 && this.counts.has(nameOf(req));
  }

  enter(req: AcquireRequest): void {
    const name = nameOf(req);
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  leave(req: AcquireRequest): void {
    const name = nameOf(req);
    const left = (this.counts.get(name) ?? 0) - 1;
    if (left > 0) this.counts.set(name, left);
    else this.counts.delete(name);
  }
}

const nameOf = (req: AcquireRequest): string => `${req.kind} ${req.limit} ${req.key}`;
