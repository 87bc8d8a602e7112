import { echoConnections, lockConnections } from './connections.mjs';
import { engine } from './engine.mjs';
import { pipelined } from './pipelined.mjs';
import { rawPing } from './raw-ping.mjs';

/**
 * What is counted in a slice.
 *
 * @typedef {object} Slice
 * @property {number} count
 * @property {number} ms
 * @property {number} clientCpuMs
 * @property {number} [serverCpuMs] unknown for a server that is not ours, absent without one
 */

/**
 * One line of the table. `versus` names another contestant to which a ratio is taken, slice by slice of the same round;
 * contestants that are compared stand side by side. Every contestant is also compared with the baseline.
 *
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} unit what is counted
 * @property {string} [versus]
 * @property {{ perSecond?: number, ratio?: number }} [goal] least count per second, or least ratio to `versus`
 * @property {(stage: import('../support/stage.mjs').Stage) => Promise<{ slice(ms: number): Promise<Slice> }>} start
 */

/** The first is the baseline. @type {Contestant[]} */
export const CONTESTANTS = [
  rawPing,
  pipelined(1),
  pipelined(10),
  pipelined(100),
  pipelined(1000, { goal: { perSecond: 250_000 } }),
  echoConnections(100),
  lockConnections(100),
  echoConnections(500),
  lockConnections(500),
  engine,
];
