import { judge } from '../checks/index.js';
import { countFaults, faultName, Round, type RoundResult } from '../lab/round.js';
import { fromMillis } from '../log/time.js';
import { Random } from '../plan/random.js';
import { drawScenario, type Fault, type Scenario, sessionTimeoutMs } from '../plan/scenario.js';
import { PostgresArena } from './arena.js';

/** In every third round only this much is done to the server: what is lost by itself shows then. */
const isCalm = (seed: number): boolean => seed % 3 === 0;

/**
 * A round of locks in Postgres. Most callers want what others want too; in each round statements are cancelled and sessions
 * are ended, beside what is drawn for every backend.
 */
export function drawPostgresScenario(seed: number, durationMs: number): Scenario {
  const drawn = drawScenario(seed, durationMs);
  const random = new Random(seed).fork();
  const hot = { hotKeys: random.pick([6, 12, 24]), hotShare: random.pick([0.4, 0.7]) };
  const own: Fault[] = [2, -2].map((byS) => ({
    ...{ do: 'stepClock', byS, target: 0 },
    at: random.int(durationMs * 0.2, durationMs * 0.8),
  }));
  const drawnFaults = isCalm(seed) ? [] : drawn.faults;
  return {
    ...drawn,
    workers: drawn.workers.map((plan) => ({ ...plan, ...hot, backend: 'postgres', steppedClock: false })),
    faults: [...drawnFaults, ...own].sort((a, b) => a.at - b.at),
  };
}

/** What the faults of a round mean here. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['kill daemon', 'restart immediate'],
  ['drain', 'restart fast'],
  ['stop daemon', 'stop server'],
]);

function nameOf(fault: Fault): string {
  if (fault.do === 'stepClock') return fault.byS > 0 ? 'cancel statements' : 'terminate sessions';
  const name = faultName(fault);
  return NAMES.get(name) ?? name;
}

/** One round of random faults under many callers of locks in Postgres. */
export async function runPostgresRound(seed: number, durationMs: number): Promise<RoundResult> {
  const scenario = drawPostgresScenario(seed, durationMs);
  const { workers } = scenario;
  const arena = await PostgresArena.open(workers);
  try {
    const round = new Round(arena, scenario);
    const complaints = await round.run();
    const idle = {
      silenceNs: fromMillis(Math.max(...workers.map(sessionTimeoutMs))),
      disturbances: round.disturbances,
    };
    const evidence = { ...(await arena.evidence(complaints)), idle };
    return { ...judge(evidence), seed, scenario, faults: countFaults(scenario, nameOf), happened: round.happened };
  } finally {
    await arena.close();
  }
}
