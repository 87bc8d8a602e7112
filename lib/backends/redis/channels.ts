import { type Alarms, newAlarm } from '../../common/alarms.js';
import type { LockError } from '../../common/errors.js';
import type { Clock, Ms } from '../../common/system.js';

/** A waiter that needs a channel to be subscribed before it may enter the queue. */
export interface Joining {
  joined(): void;
  unanswered(error: LockError): void;
  refused(error: LockError): void;
}

/** The channels on which this process hears of grants. */
export interface ChannelUse {
  /** Whether the channel for the keys of this slot is subscribed. */
  isJoined(tag: string): boolean;
  join(tag: string, who: Joining): void;
  /** Counts one more waiter there; `leave` counts one less. */
  use(tag: string): void;
  leave(tag: string): void;
}

/** One channel for all keys, subscribed at the start. */
export const ONE_CHANNEL: ChannelUse = {
  isJoined: () => true,
  join: (_tag, who) => who.joined(),
  use: () => undefined,
  leave: () => undefined,
};

/** How long a channel is kept after its last waiter has left. */
const KEPT_MS: Ms = 10_000;

interface Shard {
  isJoined: boolean;
  users: number;
  lastUsed: Ms;
  readonly waiting: Joining[];
}

/**
 * A channel for each slot of a cluster in which this process waits: a message stays on the nodes of that slot. It must be
 * subscribed before the waiter enters the queue, or its grant may be published to nobody.
 */
export class ShardedChannels implements ChannelUse {
  private readonly shards = new Map<string, Shard>();
  private readonly alarm = newAlarm(() => this.sweep());

  constructor(
    private readonly clock: Clock,
    private readonly alarms: Alarms,
    private readonly subscribe: (tag: string) => Promise<void>,
    private readonly unsubscribe: (tag: string) => void,
  ) {}

  isJoined(tag: string): boolean {
    return this.shards.get(tag)?.isJoined === true;
  }

  use(tag: string): void {
    const shard = this.shardOf(tag);
    shard.users++;
  }

  leave(tag: string): void {
    const shard = this.shards.get(tag);
    if (!shard) return;
    shard.users--;
    shard.lastUsed = this.clock.now();
    if (this.alarm.slot < 0) this.alarms.set(this.alarm, shard.lastUsed + KEPT_MS);
  }

  join(tag: string, who: Joining): void {
    const shard = this.shardOf(tag);
    if (shard.isJoined) return who.joined();
    if (shard.waiting.push(who) > 1) return;
    this.subscribe(tag).then(
      () => {
        shard.isJoined = true;
        for (const one of shard.waiting.splice(0)) one.joined();
      },
      (error: LockError) => {
        for (const one of shard.waiting.splice(0)) {
          if (error.isTransient) one.unanswered(error);
          else one.refused(error);
        }
      },
    );
  }

  private shardOf(tag: string): Shard {
    let shard = this.shards.get(tag);
    if (!shard) {
      shard = { isJoined: false, users: 0, lastUsed: this.clock.now(), waiting: [] };
      this.shards.set(tag, shard);
    }
    return shard;
  }

  private sweep(): void {
    const now = this.clock.now();
    let next = Infinity;
    for (const [tag, shard] of this.shards) {
      if (shard.users > 0 || shard.waiting.length > 0) continue;
      const due = shard.lastUsed + KEPT_MS;
      if (due > now) {
        next = Math.min(next, due);
        continue;
      }
      this.shards.delete(tag);
      this.unsubscribe(tag);
    }
    this.alarms.set(this.alarm, next);
  }
}
