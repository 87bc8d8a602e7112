import type { Lane } from '../lanes/lane.js';
import type { Resource } from './local-waiter.js';
import { semaphoreName } from './local-uses.js';

interface Used {
  readonly lane: Lane;
  tries: number;
}

/**
 * The lanes on which tries for semaphores are under way. Tries for one semaphore share a lane: the server then answers
 * them in the order in which they were made, and none that came later is granted unseen by one that was refused.
 */
export class TryLanes {
  private readonly bySemaphore = new Map<string, Used>();

  /** Where a try for this semaphore must go; undefined if any lane will do. */
  of(semaphore: Resource): Lane | undefined {
    const lane = this.bySemaphore.get(semaphoreName(semaphore.key, semaphore.limit))?.lane;
    return lane?.isUsable ? lane : undefined;
  }

  enter(semaphore: Resource, lane: Lane): void {
    const name = semaphoreName(semaphore.key, semaphore.limit);
    const used = this.bySemaphore.get(name);
    if (used?.lane === lane) used.tries++;
    else this.bySemaphore.set(name, { lane, tries: 1 });
  }

  leave(semaphore: Resource, lane: Lane): void {
    const name = semaphoreName(semaphore.key, semaphore.limit);
    const used = this.bySemaphore.get(name);
    if (used?.lane === lane && --used.tries === 0) this.bySemaphore.delete(name);
  }
}
