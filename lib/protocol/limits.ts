/** The constants of the wire protocol. */

/** Bytes of a line, LF excluded and CR included (spec 1.2). */
export const LINE_CAP = 256;
/** Bytes of the third line of `auth` and `signal` since 1.15 (spec 1.2). */
export const LONG_LINE_CAP = 65_536;
/** Bytes of later requests that a server buffers behind a blocked one; this many kill the connection (spec 1.7). */
export const BLOCKED_TAIL_CAP = 4096;
/** A command that is answered within this time never counts as blocked (spec 1.7). */
export const BLOCKED_GRACE_MS = 10;
/** Time between `error_auth` and the close (spec 2). */
export const AUTH_CLOSE_DELAY_MS = 100;
/** Most seconds that a duration on the wire may have since 1.15 (spec 1.3). */
export const MAX_SECONDS = 9_223_372_036;
/** Most bytes of a pushed line `sig <channel> <payload>` (spec 6.2). */
export const SIGNAL_LINE_CAP = 65_536;
/** Frames that wait for one listener; one more and it is disconnected (spec 6.4). */
export const SIGNAL_BUFFER_FRAMES = 64;
/** Most patterns of a connection unless an option says otherwise (spec 19). */
export const DEFAULT_MAX_SUBSCRIPTIONS = 10_000;
/** Most bytes of a reply line that a client takes; `stats` grows with the keys (spec 1.2). */
export const REPLY_LINE_CAP = 64 * 1024 * 1024;
/** As many where the replies are short: to everything but `stats`. */
export const SHORT_REPLY_CAP = 65_536;

export const DEFAULT_HOST = '127.0.0.1';
export const DEFAULT_PORT = 6388;
/** Seconds (spec 8). */
export const DEFAULT_LEASE_TTL_S = 33;
/** Seconds a connection may say nothing (spec 1.5). */
export const DEFAULT_READ_TIMEOUT_S = 23;
