/** The port of lockd and glockd. */
export const LOCKD_PORT = 9999;
/** Most bytes of a line, without its line break. The original has no limit. */
export const LOCKD_LINE_CAP = 65_536;
