import { spread, sum } from './statistics.mjs';

/**
 * Slices of all contestants in turn, round after round, so that other load on the machine affects all of them alike.
 *
 * @param {import('../contestants/index.mjs').Contestant[]} contestants
 * @param {{ rounds: number, warmUp: number, sliceMs: number, order?: <T>(items: T[], round: number) => T[] }} plan
 *   `warmUp` rounds are not counted
 * @returns {Promise<Map<string, import('../contestants/index.mjs').Slice[]>>} by name, one for each round
 */
export async function measureAll(contestants, stage, plan, onRound) {
  const running = [];
  for (const contestant of contestants) running.push([contestant.name, await contestant.start(stage)]);
  const slices = new Map(contestants.map(({ name }) => [name, []]));
  const order = plan.order ?? forthAndBack;
  for (let round = -plan.warmUp; round < plan.rounds; round++) {
    onRound(round);
    for (const [name, contestant] of order(running, round)) {
      const slice = await contestant.slice(plan.sliceMs);
      if (round >= 0) slices.get(name).push(slice);
    }
  }
  return slices;
}

/** Alternates the direction, so that no contestant always follows the same neighbour. */
const forthAndBack = (items, round) => (round % 2 === 0 ? items : [...items].reverse());

/** Operations per second. */
export const rateOf = ({ count, ms }) => (count / ms) * 1000;

/**
 * The figures of each contestant.
 *
 * @param {import('../contestants/index.mjs').Contestant[]} contestants the first is the baseline
 */
export function summarize(contestants, slices) {
  return contestants.map(({ name, unit, versus = [], goals = [] }) => {
    const own = slices.get(name);
    const figures = {
      perSecond: spread(own.map(rateOf)),
      ratioTo: (other) => ratios(own, slices.get(other)),
      measure: (measure) => spread(own.map(({ measures }) => measures[measure])),
      measureTo: (measure, other) => ratios(own, slices.get(other), ({ measures }) => measures[measure]),
      measureInTurns: (measure, count, other) => inTurns(own, measure, count, slices.get(other)),
    };
    return {
      name,
      unit,
      perSecond: figures.perSecond,
      toFirst: figures.ratioTo(contestants[0].name),
      versus: versus.filter((other) => slices.has(other)).map((other) => compare(other, own, slices.get(other))),
      goals: goals.map((goal) => judge(goal, figures)),
      cpu: cpuOf(own),
    };
  });
}

/** Rate by rate, round by round. @param {(slice: Slice) => number} [rate] @returns {number[]} */
export const rateRatios = (own, others, rate = rateOf) => own.map((slice, i) => rate(slice) / rate(others[i]));

const ratios = (own, others, rate) => others && spread(rateRatios(own, others, rate));

/** Round by round: a measured time by the time that `count` of the others take. */
const inTurns = (own, measure, count, others) =>
  others && spread(own.map(({ measures }, i) => (measures[measure] * rateOf(others[i])) / (1000 * count)));

function compare(name, own, others) {
  const serverCpu = cpuPerCount(others) / cpuPerCount(own);
  return { name, rate: ratios(own, others), serverCpu: Number.isNaN(serverCpu) ? undefined : serverCpu };
}

function judge({ text, of, met, shown }, figures) {
  const value = of(figures);
  return { text, value, shown, met: value && met?.(value.median) };
}

/** Milliseconds of the server's CPU per operation; NaN if unknown. */
const cpuPerCount = (slices) =>
  sum(slices.map(({ serverCpuMs }) => serverCpuMs ?? NaN)) / sum(slices.map(({ count }) => count));

/** Shares of one core, and the cost of one operation. */
function cpuOf(slices) {
  const total = sum(slices.map(({ ms }) => ms));
  const count = sum(slices.map((slice) => slice.count));
  const side = (key) => {
    if (slices[0][key] === undefined) return undefined;
    const used = sum(slices.map((slice) => slice[key]));
    return { share: used / total, usEach: (used / count) * 1000 };
  };
  return { client: side('clientCpuMs'), server: side('serverCpuMs') };
}
