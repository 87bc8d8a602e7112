/** A caller that may have to subscribe to a channel before it may wait. */
export interface Joiner {
  /** Its turn has come. */
  joined(): void;
}

/**
 * The callers of a key while the first of them has no place in the queue, because it waits for the subscription. The others stay behind it:
 * they would overtake it with a try, or with a request once the subscription stands.
 */
export class Joins {
  /** By the full key: the first, and those behind it. */
  private readonly byKey = new Map<string, Joiner[]>();

  /**
   * Returns whether the caller must wait until its `joined` is called.
   * @param isJoined the subscription stands
   */
  holds(key: string, who: Joiner, isJoined: boolean): boolean {
    if (isJoined && this.byKey.size === 0) return false;
    const all = this.byKey.get(key);
    if (all) return all[0] !== who && all.push(who) > 0;
    if (!isJoined) this.byKey.set(key, [who]);
    return false;
  }

  /** The caller has entered the queue, or never will. */
  passed(key: string, who: Joiner): void {
    if (this.byKey.size === 0) return;
    const all = this.byKey.get(key);
    if (all?.[0] !== who) return;
    this.byKey.delete(key);
    for (const one of all.slice(1)) one.joined();
  }

  /** All of them are about to leave. */
  clear(): void {
    this.byKey.clear();
  }
}
