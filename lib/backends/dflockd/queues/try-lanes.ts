import type { Lane } from '../lanes/lane.js';
import type { Resource } from './local-waiter.js';
import { semaphoreName } from './local-uses.js';

interface Used {
  readonly lane: Lane;
  tries: number;
}

/**
 * The lanes with tries for semaphores in flight. Tries for one semaphore share a lane, so the server answers them in
 * the order in which they were made: if an earlier try was refused, a later grant is seen as such.
 */
export class TryLanes {
  private readonly bySemaphore = new Map<string, Used>();

  /** The lane that a try for this semaphore must use; undefined: any lane will do. */
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
