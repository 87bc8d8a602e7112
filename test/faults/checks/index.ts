import type { Evidence, Violation } from '../log/evidence.js';
import { checkAnswers } from './answers.js';
import { countContended } from './contention.js';
import { checkExclusion } from './exclusion.js';
import { Fates } from './fates.js';
import { checkFences } from './fences.js';
import { checkIdle } from './idle.js';
import { checkLeaks } from './leaks.js';
import { checkOrder } from './order.js';
import { checkWindows, lossesOf } from './window.js';

/** What a round has shown. */
export interface Verdict {
  readonly violations: readonly Violation[];
  readonly holds: number;
  readonly calls: number;
  readonly lost: number;
  /** Holds that were granted while a caller in another process waited. */
  readonly contended: number;
  /** The longest zombie window of a lock whose connection had not been cut; -Infinity without one. */
  readonly widestSilentNs: number;
  /** The longest time from the end of a connection, as the daemon saw it, to the news. */
  readonly slowestCutNs: number;
}

/** Everything that must be true of the logs of a round. */
export function judge(evidence: Evidence): Verdict {
  const fates = new Fates(evidence);
  const losses = lossesOf(evidence, fates);
  const violations = [
    ...evidence.complaints,
    ...checkExclusion(evidence, fates),
    ...checkFences(evidence, fates),
    ...checkOrder(evidence),
    ...checkLeaks(evidence),
    ...checkAnswers(evidence),
    ...checkWindows(evidence, fates),
    ...checkIdle(evidence),
  ];
  const silent = losses.filter((loss) => !loss.cut).map(({ windowNs }) => windowNs);
  const cut = losses.filter((loss) => loss.cut).map(({ windowNs }) => windowNs);
  return {
    violations: violations.sort((a, b) => a.at - b.at),
    holds: evidence.holds.length,
    calls: evidence.calls.length,
    lost: evidence.holds.filter(({ end }) => end === 'lost').length,
    contended: countContended(evidence),
    widestSilentNs: silent.reduce((a, b) => Math.max(a, b), -Infinity),
    slowestCutNs: cut.reduce((a, b) => Math.max(a, b), -Infinity),
  };
}
