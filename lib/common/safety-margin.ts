import type { Ms } from './system.js';

/**
 * How much earlier than the server a holder must consider its lock lost: timers fire some milliseconds late, and the
 * clocks of two machines do not run at exactly the same speed. Terms below half a second, which only the engine in this
 * process grants, give up a tenth. An infinite term gives up a finite amount.
 */
export const safetyMargin = (term: Ms): Ms => Math.min(Math.max(50, term * 0.02), term / 10, Number.MAX_VALUE);
