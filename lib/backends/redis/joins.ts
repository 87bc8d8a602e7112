/** A caller that may have to subscribe to a channel before it may wait. */
export interface Joiner {
  /** Its turn has come. */
  joined(): void;
}

/**
 * Callers of one key while the first of them has not entered the queue, for want of the subscription. Others stay behind it: a
 * try, or a request after the subscription stands, would overtake it.
 */
export class Joins {
  /** By the full key: the first, and those behind it. */
  private readonly byKey = new Map<string, Joiner[]>();

  /**
   * Returns whether it has to wait until its `joined` is called.
   * @param isJoined the subscription stands
   */
  holds(key: string, who: Joiner, isJoined: boolean): boolean {
    if (isJoined && this.byKey.size === 0) return false;
    const all = this.byKey.get(key);
    if (all) return all[0] !== who && all.push(who) > 0;
    if (!isJoined) this.byKey.set(key, [who]);
    return false;
  }

  /** It has entered the queue, or will not. */
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
