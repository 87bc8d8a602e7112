import type { Ms } from './system.js';

/**
 * How much earlier than the server a holder must stop to believe: timers fire late by up to some milliseconds, and
 * clocks of two machines do not run at exactly the same pace. Terms below half a second, which only the engine in this
 * process grants, give up a tenth; a term without end gives up something that is a number.
 */
export const safetyMargin = (term: Ms): Ms => Math.min(Math.max(50, term * 0.02), term / 10, Number.MAX_VALUE);
