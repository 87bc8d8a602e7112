import { measureAtLeast, measureAtMost, times } from '../support/goals.mjs';
import { slice } from '../support/stage.mjs';
import { flagsFor } from './callers.mjs';
import { quantile, sum } from '../support/statistics.mjs';

export const WAITERS = 20;
const LIMIT = 'a timer of 1 ms and one raw round trip';
/** Time for all processes to hear of a slice, so that they begin and end it together. */
const START_MS = 20;
export const P99 = 'p99 wait in ms';
export const TURNS = 'fewest turns / most turns of a caller';

export const hotName = (label, processes) =>
  `${label}, ${WAITERS} callers in ${processes === 1 ? 'one process' : `${processes} processes`}`;

/** The least that a turn can take: the work, and one round trip to hand the lock over. */
export const pacedEcho = {
  name: LIMIT,
  unit: 'turns',
  async start(stage) {
    const server = await stage.server('echo-server.mjs', 'paced');
    const client = await stage.client('paced-echo.mjs');
    const { host, port } = server;
    await client.ask('connect', { host, port });
    return { slice: (ms) => slice(client, server, ms) };
  },
};

/** This package's client: all callers want one key, and work for 1 ms under it. */
export const hotKey = (processes, server) => ({
  name: `${hotName('one key', processes)}${server.label}`,
  unit: 'turns',
  versus: [LIMIT],
  goals: [times(0.95, LIMIT, 'the first line'), measureAtMost(40, P99), measureAtLeast(0.95, TURNS)],
  async start(stage) {
    const at = await server.reach(stage);
    const where = { entry: stage.moduleUrl('entries/client.js'), options: { servers: [[at.host, at.port]] } };
    return hotCallers(stage, at, processes, 'dflockd', where);
  },
});

/**
 * Processes with callers that all want one key.
 *
 * @param {string} locker a file of bench/lockers @param {object} where what its `openHot` gets
 */
export async function hotCallers(stage, at, processes, locker, where) {
  const url = new URL(`../lockers/${locker}.mjs`, import.meta.url).href;
  const clients = await Promise.all(
    Array.from({ length: processes }, () => stage.client('hot-callers.mjs', [url], flagsFor(locker, stage))),
  );
  await Promise.all(clients.map((client) => client.ask('open', { callers: WAITERS / processes, where })));
  const together = {
    async ask(question, ms) {
      const startsAt = Date.now() + START_MS;
      return join(await Promise.all(clients.map((client) => client.ask(question, { startsAt, ms }))));
    },
  };
  return { slice: (ms) => slice(together, at, ms) };
}

/** One slice of several processes. */
function join(parts) {
  const waits = parts.flatMap((part) => part.waits).sort((a, b) => a - b);
  const turns = parts.flatMap((part) => part.turns);
  return {
    count: sum(turns),
    ms: Math.max(...parts.map(({ ms }) => ms)),
    cpuMs: sum(parts.map(({ cpuMs }) => cpuMs)),
    measures: { [P99]: quantile(waits, 0.99), [TURNS]: Math.min(...turns) / Math.max(...turns) },
  };
}
