import type { ConnectionOptions } from 'node:tls';
import type { LockBackend } from '../backends/backend.js';

/** One key, or several that are taken all or none, in one order everywhere. */
export type LockKey = string | readonly string[];

export interface Defaults {
  /** Seconds to wait for a lock; 0 tries once. Default 10. */
  acquireTimeoutS?: number;
  /** Seconds a lock outlives its holder's silence. Default: the server's (33). */
  leaseTtlS?: number;
}

/** `host`, `host:port`, or a pair. */
export type ServerAddress = string | readonly [host: string, port: number];

/** Returns the index of the server that has the key. */
export type ShardingStrategy = (key: string, numServers: number) => number;

/** How to reach a dflockd over TCP. */
export interface RemoteOptions {
  /** `{}` is TLS with the system's certificate authorities. */
  tls?: ConnectionOptions;
  auth?: string;
  /** Default: crc32 of the key, as dflockd's clients do. */
  shardingStrategy?: ShardingStrategy;
  /** Milliseconds, default 5000. */
  connectTimeoutMs?: number;
  /** Milliseconds, default 5000. */
  requestTimeoutMs?: number;
  /** The daemon's flag `--read-timeout`, seconds, default 23: it closes connections that are silent for so long. */
  readTimeoutS?: number;
  /** Part of the lease after which it is renewed; strictly between 0 and 1, default 0.5. */
  renewRatio?: number;
  /** Milliseconds. Defaults 50 and 5000. */
  reconnect?: { minDelayMs?: number; maxDelayMs?: number };
}

/** The engine in this process. */
export interface EmbeddedOptions {
  /** Also serves other processes, which name this address as their server: `host:port`. */
  listen?: string;
  /** Default 1,000,000. */
  maxLocks?: number;
  maxWaiters?: number;
  /** Seconds, default 33. */
  defaultLeaseTtl?: number;
  /** Of the doors opened by `listen`. */
  authToken?: string;
}

export type BackendOptions =
  | { servers?: readonly ServerAddress[]; remote?: RemoteOptions; embedded?: never; backend?: never }
  | { embedded: true | EmbeddedOptions; servers?: never; remote?: never; backend?: never }
  | { backend: LockBackend; servers?: never; remote?: never; embedded?: never };

export type LockClientOptions = Defaults & {
  /** Put before every key, with a colon. */
  namespace?: string;
  /**
   * `connect` (default): try, warn, keep retrying; wrong auth, TLS or options fail. `require`: no server, no start.
   * `lazy`: on first use.
   */
  startup?: 'connect' | 'require' | 'lazy';
  /** Seconds that holders may take to finish when the client closes. Default 10. */
  shutdownTimeoutS?: number;
} & BackendOptions;

export interface AcquireOptions extends Defaults {
  /**
   * Slots, an integer of at least 1. Makes it a semaphore, also with one slot: semaphores have a namespace of their own,
   * so that they do not exclude a lock of the same name. All who use the key must name the same limit.
   */
  limit?: number;
  /** Gives up waiting; has no effect on a lock that has been acquired. */
  signal?: AbortSignal;
}
