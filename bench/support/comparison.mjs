// Decides whether a build is as fast as another one. The control, a second build of the base's source, shows how large
// a measured difference is when there is none; a smaller one means nothing.
import { finePercent, whole } from './format.mjs';
import { rateOf, rateRatios } from './measure.mjs';
import { line } from './report.mjs';
import { medianInterval, spread } from './statistics.mjs';

/**
 * @typedef {ReturnType<typeof medianInterval>} Interval
 * @typedef {'within' | 'outside' | 'undecided'} Verdict
 */

/**
 * A different order in each round, so that no item always comes first or follows the same neighbour. Three items go
 * through all of their six orders in six rounds.
 *
 * @template T @param {T[]} items @param {number} round may be negative @returns {T[]}
 */
export function variedOrder(items, round) {
  const first = Math.floor(round / 2) % items.length;
  const turned = [...items.slice(first), ...items.slice(0, first)];
  return round % 2 === 0 ? turned : turned.reverse();
}

/**
 * Whether the candidate is slower than the base by more than the bound. A faster candidate is within any bound.
 *
 * @param {Interval} candidate its rate divided by that of the base
 * @param {Interval} control the same for the control
 * @param {number} bound 0–1
 * @returns {{ verdict: Verdict, noise: number }} `noise` is how far the control may be from the base, in either
 *   direction. If it exceeds the bound, it replaces the bound: a candidate that is slower still is outside, any other
 *   is undecided.
 */
export function judge(candidate, control, bound) {
  const noise = Math.max(1 - control.low, control.high - 1);
  if (candidate.median < 1 - Math.max(bound, noise)) return { verdict: 'outside', noise };
  return { verdict: noise > bound ? 'undecided' : 'within', noise };
}

const cpuRate = (cpuMs) => (slice) => (slice.count / cpuMs(slice)) * 1000;

/** Per second. */
export const BY_THE_CLOCK = { label: 's', rate: rateOf };
/** Per second of CPU time, client and server together. */
export const BY_CPU = {
  label: 's of CPU',
  rate: cpuRate(({ clientCpuMs, serverCpuMs = 0 }) => clientCpuMs + serverCpuMs),
};
/** Per second of the server's CPU time, if the client is not part of the package. */
export const BY_SERVER_CPU = { label: 's of CPU, server', rate: cpuRate(({ serverCpuMs }) => serverCpuMs) };

/**
 * Rounds of one start are not independent: each process keeps its own speed for as long as it lives. So each start
 * counts once, with the median of its rounds.
 *
 * @param {Record<'base' | 'candidate' | 'control', import('../contestants/index.mjs').Slice[]>[]} starts
 * @param {typeof BY_THE_CLOCK} measure
 * @param {number} bound 0–1
 */
export function compare(starts, { label, rate }, bound) {
  const ratio = (start, build) => spread(rateRatios(start[build], start.base, rate)).median;
  const toBase = (build) => medianInterval(starts.map((start) => ratio(start, build)));
  const candidate = toBase('candidate');
  const control = toBase('control');
  const base = spread(starts.flatMap((start) => start.base.map(rate))).median;
  return { label, base, candidate, control, ...judge(candidate, control, bound) };
}

export const comparisonHeader = [
  line(['benchmark', 'base', 'candidate / base (95 %)', 'control / base (95 %)', 'verdict']),
  line(['---', '---:', '---:', '---:', '---']),
].join('\n');

/** @param {string} name of the benchmark @param {string} unit @param {ReturnType<typeof compare>} comparison */
export const comparisonLine = (name, unit, { label, base, candidate, control, verdict, noise }) =>
  line([
    name,
    `${whole(base)} ${unit} / ${label}`,
    withInterval(candidate),
    withInterval(control),
    VERDICTS[verdict](1 - candidate.median, noise),
  ]);

const withInterval = ({ median, low, high }) => `${median.toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`;

const VERDICTS = {
  within: () => 'within',
  outside: (slower) => `outside: ${finePercent(slower)} slower`,
  undecided: (_, noise) => `undecided: the control's spread, ${finePercent(noise)}, is wider than the bound`,
};
