import type { Ms } from '../../common/system.js';

/** The minimum of the option: a server that closes connections at once must not be flooded with pings. */
const MIN_READ_TIMEOUT_MS: Ms = 500;
/** Lanes are rearmed only if the observed read timeout is below this fraction of the assumed one. */
const NEWS = 0.9;

/** The server's read timeout as the client assumes it: the option `remote.readTimeoutS`, or less once it was seen. */
interface Assumed {
  readTimeoutMs: Ms;
}

/**
 * Lowers the assumed read timeout if the server closed a connection after a shorter silence (rule 3).
 * @returns what is new, for the user; undefined if it is no news, since several connections are closed at nearly the
 * same time
 */
export function learnReadTimeout(assumed: Assumed, silence: Ms, optionMs: Ms): string | undefined {
  const seen = Math.max(silence, MIN_READ_TIMEOUT_MS);
  const isNews = seen < assumed.readTimeoutMs * NEWS;
  assumed.readTimeoutMs = Math.min(assumed.readTimeoutMs, seen);
  if (!isNews) return undefined;
  const [was, is] = [optionMs / 1000, (seen / 1000).toFixed(1)];
  return `the server closes connections after ${is} s of silence, not ${was} s (option remote.readTimeoutS): heartbeats are sent more often from now on`;
}
