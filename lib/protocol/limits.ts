/** The constants of the wire protocol. */

/** Most bytes of a line, without LF but with CR (spec 1.2). */
export const LINE_CAP = 256;
/** Most bytes of the third line of `auth` and `signal`, since 1.15 (spec 1.2). */
export const LONG_LINE_CAP = 65_536;
/** The server closes a connection with this many bytes of requests behind a blocked one (spec 1.7). */
export const BLOCKED_TAIL_CAP = 4096;
/** A command answered within this time does not count as blocked (spec 1.7). */
export const BLOCKED_GRACE_MS = 10;
/** Time between `error_auth` and the close (spec 2). */
export const AUTH_CLOSE_DELAY_MS = 100;
/** Most seconds of a duration on the wire, since 1.15 (spec 1.3). */
export const MAX_SECONDS = 9_223_372_036;
/** Most bytes of a pushed line `sig <channel> <payload>` (spec 6.2). */
export const SIGNAL_LINE_CAP = 65_536;
/** Most frames that wait for one listener; at the next one it is disconnected (spec 6.4). */
export const SIGNAL_BUFFER_FRAMES = 64;
/** Default for the most patterns of a connection (spec 19). */
export const DEFAULT_MAX_SUBSCRIPTIONS = 10_000;
/** Most bytes of a reply line that a client accepts; `stats` grows with the number of keys (spec 1.2). */
export const REPLY_LINE_CAP = 64 * 1024 * 1024;
/** The same for requests with short replies: all but `stats`. */
export const SHORT_REPLY_CAP = 65_536;

export const DEFAULT_HOST = '127.0.0.1';
export const DEFAULT_PORT = 6388;
/** Seconds (spec 8). */
export const DEFAULT_LEASE_TTL_S = 33;
/** Seconds that a connection may be silent (spec 1.5). */
export const DEFAULT_READ_TIMEOUT_S = 23;
