import { judge } from '../checks/index.js';
import { countFaults, Round, type RoundResult } from '../lab/round.js';
import { drawScenario, type Scenario } from '../plan/scenario.js';
import { RedisArena } from './arena.js';

const LONGEST_LEASE_S = 4;

/** One round of random faults under many callers of locks in Redis. */
export async function runRedisRound(seed: number, durationMs: number): Promise<RoundResult> {
  const drawn = drawScenario(seed, durationMs);
  const workers = drawn.workers.map((plan) => ({
    ...{ ...plan, backend: 'redis' as const, steppedClock: false },
    // A lock of a process that was killed stays for its lease.
    leasesS: plan.leasesS.map((leaseS) => Math.min(leaseS, LONGEST_LEASE_S)),
  }));
  const scenario: Scenario = { ...drawn, workers };
  const arena = await RedisArena.open(scenario.workers);
  try {
    const round = new Round(arena, scenario);
    const verdict = judge(await arena.evidence(await round.run()));
    return { ...verdict, seed, scenario, faults: countFaults(scenario), happened: round.happened };
  } finally {
    await arena.close();
  }
}
