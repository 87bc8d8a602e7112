import { measureAtLeast, measureAtMost, times } from '../support/goals.mjs';
import { slice } from '../support/stage.mjs';
import { quantile, sum } from '../support/statistics.mjs';

const WAITERS = 20;
const LIMIT = 'a timer of 1 ms and one raw round trip';
const P99 = 'p99 wait in ms';
const TURNS = 'fewest turns / most turns of a caller';

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
  name: `one key, ${WAITERS} callers in ${processes === 1 ? 'one process' : `${processes} processes`}${server.label}`,
  unit: 'turns',
  versus: [LIMIT],
  goals: [times(0.95, LIMIT, 'the first line'), measureAtMost(40, P99), measureAtLeast(0.95, TURNS)],
  async start(stage) {
    const at = await server.reach(stage);
    const entry = stage.moduleUrl('entries/client.js');
    const clients = await Promise.all(
      Array.from({ length: processes }, () => stage.client('hot-callers.mjs', [entry], stage.nodeFlags)),
    );
    const options = { servers: [[at.host, at.port]] };
    await Promise.all(clients.map((client) => client.ask('open', { callers: WAITERS / processes, options })));
    const together = { ask: async (question, ms) => join(await Promise.all(clients.map((c) => c.ask(question, ms)))) };
    return { slice: (ms) => slice(together, at, ms) };
  },
});

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
