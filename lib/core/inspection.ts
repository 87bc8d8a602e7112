import type { Ms } from '../common/system.js';
import { Disconnecting } from './disconnect.js';
import { all, type EngineObserver, type ObservedResource } from './observer.js';
import type { Hold, Resource } from './resource.js';
import { statsJson, type StatsTaker, StatsWalk } from './stats-json.js';

/** What hosts read: statistics, holds, and events by an observer. Nothing here changes a lock. */
export abstract class Inspecting extends Disconnecting {
  private readonly observers: EngineObserver[] = this.observer ? [this.observer] : [];

  /**
   * Attaches an observer, beside those it may already have. What the engine has already begun is told when it ends.
   * @param existing called for each key that exists; it must do no more than an observer may
   * @returns detaches it
   */
  observe(observer: EngineObserver, existing: (res: ObservedResource) => void): () => void {
    this.observers.push(observer);
    this.observer = all(this.observers);
    for (const res of this.table.walk()) if (res) existing(res);
    return () => {
      const at = this.observers.indexOf(observer);
      if (at >= 0) this.observers.splice(at, 1);
      this.observer = all(this.observers);
    };
  }

  /** The number of keys, idle ones included. */
  get keys(): number {
    return this.table.size;
  }

  /** The number of subscriptions. */
  get subscriptions(): number {
    return this.signals.size;
  }

  /** An upper bound for the entries of a `stats` reply. */
  get statsSize(): number {
    return this.table.size + this.signals.size;
  }

  /** The object of a `stats` reply (spec 5), built at once: for few entries. @param connections counted by the host */
  stats(connections: number, now: Ms): string {
    return statsJson(connections, (take) => this.statsWalk(take), now);
  }

  /** The same, built in portions. */
  statsWalk(take: StatsTaker): StatsWalk {
    return new StatsWalk(this.table.walk(), this.signals.walk(), take);
  }

  /** The hold of a lock; undefined if it is free. */
  holdOf(key: string): Hold | undefined {
    const [hold] = this.table.get('lock', key)?.holders ?? [];
    return hold;
  }

  /** The hold that a token was issued for. */
  holdWith(kind: Resource['kind'], key: string, token: string): Hold | undefined {
    return this.table.get(kind, key)?.holders.get(token);
  }

  /** Whether a key is currently held. */
  isHeld(kind: Resource['kind'], key: string): boolean {
    return (this.table.get(kind, key)?.holders.size ?? 0) > 0;
  }
}
