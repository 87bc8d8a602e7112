/** A server by its address. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** What happens on one connection. Called in the turn in which it happens. */
export interface ConnectionEvents {
  message(channel: string, text: string): void;
  /** What CLIENT TRACKING sends: the keys, or null for all. */
  invalidated(keys: readonly string[] | null): void;
  /** It works no more, or could not be made: said once, unless `destroy` was called first. */
  closed(error: unknown): void;
}

/** One connection, from its dialing to its end: it never connects again by itself, and queues nothing. */
export interface Connection {
  /** Resolves when the server has accepted the client; rejects with what the library or the server says. */
  readonly ready: Promise<void>;
  /** Rejects with what the library says, or with a reply of Redis that is an error. May stay pending after `destroy`. */
  call(args: readonly string[]): Promise<unknown>;
  /** Resolves when the server has confirmed it. */
  subscribe(channel: string, isSharded: boolean): Promise<unknown>;
  unsubscribe(channel: string, isSharded: boolean): Promise<unknown>;
  /** Gives the socket up at once. Resolves when the library has done so, at the latest after a connect timeout. */
  destroy(): Promise<void>;
}

/** Makes connections as the user's client makes them: with its address, credentials, TLS and database. */
export interface Dialer {
  /** For errors and statistics. */
  readonly server: string;
  readonly keyPrefix: string;
  /** Whether the server must be a master: it was found by Sentinels, whose knowledge may be old. */
  readonly isSentinel: boolean;
  /** Whether the library writes each call to the socket when it is made, not all of a turn together. */
  readonly writesAtOnce: boolean;
  /** The longest that dialing may take. */
  readonly timeoutMs: number;
  dial(role: 'commands' | 'subscriber', events: ConnectionEvents): Connection;
}

/** Makes the dialers of the nodes of a cluster. */
export interface ClusterDialer {
  readonly keyPrefix: string;
  /** As of a dialer. */
  readonly writesAtOnce: boolean;
  readonly timeoutMs: number;
  /** Finds a node that answers, by the addresses that the user gave. */
  find(): Promise<ClusterNodes>;
}

export interface ClusterNodes {
  /** Where to begin: as nodes name each other. */
  readonly known: readonly Endpoint[];
  /** @param node as the cluster itself names it; the address that the user's client maps it to is dialed */
  dialer(node: Endpoint): Dialer;
}

/** What a client has as its connect timeout; zero means none there, which these connections cannot do with. */
export const connectTimeoutOr = (given: unknown, otherwise: number): number =>
  typeof given === 'number' && given > 0 ? given : otherwise;

/** What a client puts in front of keys; libraries take an empty one and null for none. */
export const prefixOf = (keyPrefix: string | Buffer | null | undefined): string => keyPrefix?.toString() ?? '';

export const addressOf = ({ host, port }: Endpoint): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
