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

export const sum = (values) => values.reduce((a, b) => a + b, 0);
