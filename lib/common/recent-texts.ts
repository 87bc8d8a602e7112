import type { Clock, Ms } from './system.js';

const RECENT_MS: Ms = 10_000;

/** Tells what was said in the last ten seconds from what is new: warnings of one cause are not worth repeating. */
export class RecentTexts {
  /** When each was said, in that order. */
  private readonly saidAt = new Map<string, Ms>();

  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  /** Whether it is new; it counts as said from now on. */
  add(text: string): boolean {
    const now = this.clock.now();
    for (const [old, at] of this.saidAt) {
      if (now - at < RECENT_MS) break;
      this.saidAt.delete(old);
    }
    if (this.saidAt.has(text)) return false;
    this.saidAt.set(text, now);
    return true;
  }
}
