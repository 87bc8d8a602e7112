import type { ConnectionOptions } from 'node:tls';
import type { Ms } from '../../../common/system.js';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** `host:port`, for messages. */
  readonly label: string;
}

/** How to reach one or more dflockd servers: checked, complete (by backends/dflockd/options.ts), frozen. */
export interface RemoteConfig {
  /** At least one; several servers are shards. */
  readonly endpoints: readonly Endpoint[];
  readonly tls: ConnectionOptions | undefined;
  readonly auth: string | undefined;
  /** Undefined: crc32 of the key (spec 11). */
  readonly shardingStrategy: ((key: string, numServers: number) => number) | undefined;
  readonly connectTimeoutMs: Ms;
  readonly requestTimeoutMs: Ms;
  /** The server closes a connection after this much silence (spec 1.5). */
  readonly readTimeoutMs: Ms;
  readonly reconnect: { readonly minDelayMs: Ms; readonly maxDelayMs: Ms };
  /** Per server. */
  readonly commandLanes: number;
  /** Per server; may be Infinity. */
  readonly maxWaitLanes: number;
  /** Places of this process in the server's queue of one key; Infinity only if maxWaitLanes is. */
  readonly waitersPerKey: number;
  /** The longest lease that such a place asks for. */
  readonly placeLeaseMs: Ms;
  /** Whether the server releases the locks of a closed connection: its flag `auto-release-on-disconnect` (spec 4.6). */
  readonly autoRelease: boolean;
  /** `token`: the first half of a token is a fence (spec 10). */
  readonly fencing: 'none' | 'token';
}
