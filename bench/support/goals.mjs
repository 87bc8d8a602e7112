import { ratio, whole } from './format.mjs';

/**
 * What a contestant should reach.
 *
 * @typedef {object} Goal
 * @property {string} text
 * @property {(figures: Figures) => Spread | undefined} the value that counts; undefined if it was not measured
 * @property {(median: number) => boolean} met
 * @property {boolean} [shown] whether to show the value, because the table has it nowhere else
 */

/**
 * @typedef {import('./statistics.mjs').spread} spread
 * @typedef {ReturnType<spread>} Spread
 * @typedef {object} Figures
 * @property {Spread} perSecond
 * @property {(other: string) => Spread | undefined} ratioTo the rate as a multiple of that of another contestant
 * @property {(name: string) => Spread} measure another measurement of the contestant
 */

/** At least that many a second. @returns {Goal} */
export const perSecond = (least, why = '') => ({
  text: `≥ ${whole(least)}${why}`,
  of: (figures) => figures.perSecond,
  met: (median) => median >= least,
});

/** At least that many times as fast as another contestant. @returns {Goal} */
export const times = (least, other, label = other) => ({
  text: `≥ ${least} × ${label}`,
  of: (figures) => figures.ratioTo(other),
  met: (median) => median >= least,
  shown: true,
});

/** At most that many times as long as `count` operations of another contestant take. @returns {Goal} */
export const timeOf = (most, count, other, label) => ({
  text: `≤ ${most} × ${label}`,
  of(figures) {
    const rate = figures.ratioTo(other);
    const time = (quotient) => 1 / (count * quotient);
    return rate && { median: time(rate.median), q1: time(rate.q3), q3: time(rate.q1) };
  },
  met: (median) => median <= most,
  shown: true,
});

/** A lower or upper bound for another measurement of a contestant. @returns {Goal} */
export const measureAtLeast = (least, name) => ({
  text: `${name} ≥ ${ratio(least)}`,
  of: (figures) => figures.measure(name),
  met: (median) => median >= least,
  shown: true,
});

/** @returns {Goal} */
export const measureAtMost = (most, name) => ({
  text: `${name} ≤ ${whole(most)}`,
  of: (figures) => figures.measure(name),
  met: (median) => median <= most,
  shown: true,
});
