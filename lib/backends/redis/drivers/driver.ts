import type { LockError } from '../../../common/errors.js';
import type { Script } from '../scripts/script.js';

/** What a driver tells its backend. Called in the turn in which it happens; must not throw. */
export interface DriverListener {
  /** The connections work, or work again. */
  up(): void;
  /** A connection was lost, or could not be made. Said until `up` once for each code of errors. */
  down(error: LockError): void;
  /** The subscription to the channel stands, or stands again: what was published in between is lost. */
  subscribed(channel: string): void;
  message(channel: string, text: string): void;
  /** Keys that somebody changed, where `watch` is used; undefined: any of them, after a reconnect or FLUSHALL. */
  invalidated(keys: readonly string[] | undefined): void;
}

/**
 * The connections of one backend to Redis, whichever library they are made with. They are its own: duplicates of the client
 * that the user gave, which itself is never used.
 */
export interface RedisDriver {
  readonly isCluster: boolean;
  /** Whether channels are sharded (SSUBSCRIBE, SPUBLISH): in a cluster of Redis 7 or newer. Known after open(). */
  readonly isSharded: boolean;
  /** For errors and statistics: `host:port`, `name@sentinel` or `cluster`. Without user and password. */
  readonly server: string;
  /** The `keyPrefix` of the user's client; empty without one. The driver itself adds no prefix. */
  readonly keyPrefix: string;
  /** Whether the server begins with a call while the next one of the same turn is still being made. */
  readonly writesAtOnce: boolean;
  /**
   * Connects. Rejects with a typed error: after a transient one the driver goes on trying by itself and says `up` when it has
   * succeeded, after another one it is closed.
   */
  open(listener: DriverListener): Promise<void>;
  /**
   * EVAL the first time on a connection and after NOSCRIPT, otherwise EVALSHA: what is asked is executed in the order in which
   * it was asked, except after SCRIPT FLUSH. In a cluster all keys are in one slot, and there is at least one. Always settles:
   * rejects with a transient error when the connection ends or is kicked, at once when there is none, and when there is no
   * answer within the request timeout, after which the driver drops that connection by itself. Never sent twice, except
   * where the server has refused it (NOSCRIPT, MOVED, ASK).
   */
  eval(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /** One plain command, such as INFO or EXISTS. In a cluster `key` chooses the node; without one, any master. */
  command(key: string | undefined, args: readonly string[]): Promise<unknown>;
  /**
   * Resolves when the subscription stands. The driver renews it after each reconnect until `unsubscribe`, also if the first
   * attempt was rejected with a transient error.
   */
  subscribe(channel: string): Promise<void>;
  unsubscribe(channel: string): void;
  /**
   * Drops the connections and makes new ones. The driver does so by itself when the server is silent or is no master any more.
   * @param key in a cluster, only those to the node of this key
   */
  kick(key?: string): void;
  /**
   * Has changes of the keys reported by `invalidated`, once for each, and answers how many of them exist. Asked again after
   * each own write to a key. Without keys it only finds out whether the server takes it. Rejects with ConfigError or UnsupportedError where the server refuses CLIENT TRACKING.
   */
  watch(keys: readonly string[]): Promise<number>;
  /** Drops the connections. Everything unanswered is rejected; nothing is left behind. */
  close(): Promise<void>;
}
