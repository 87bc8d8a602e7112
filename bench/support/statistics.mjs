/** Linear interpolation between the two nearest values. @param {number[]} sorted @param {number} part 0–1 */
export function quantile(sorted, part) {
  const at = (sorted.length - 1) * part;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  return below + (above - below) * (at - Math.floor(at));
}

/** Median and quartiles. @param {number[]} values */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), q1: quantile(sorted, 0.25), q3: quantile(sorted, 0.75) };
}

const CONFIDENCE = 0.95;

/**
 * The median, and an interval that contains the true median with a confidence of at least 95 %, whatever the
 * distribution: two of the values, whose ranks come from the sign test.
 *
 * @param {number[]} values at least 6
 */
export function medianInterval(values) {
  const rank = lowRank(values.length);
  if (rank === 0) throw new Error(`an interval of ${CONFIDENCE * 100} % needs at least 6 values, not ${values.length}`);
  const sorted = [...values].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), low: sorted[rank - 1], high: sorted[sorted.length - rank] };
}

/** The highest rank, from 1, whose value is above the true median with a probability of at most 2.5 %; else 0. */
function lowRank(count) {
  // The number of values below the median is binomial. Computed in logarithms, because 2 ** -count may underflow.
  let log = -count * Math.LN2;
  let below = Math.exp(log);
  let rank = 0;
  while (below <= (1 - CONFIDENCE) / 2) {
    rank++;
    log += Math.log((count - rank + 1) / rank);
    below += Math.exp(log);
  }
  return rank;
}

export const sum = (values) => values.reduce((a, b) => a + b, 0);
