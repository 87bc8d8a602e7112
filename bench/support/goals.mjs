import { ratio, whole } from './format.mjs';

/**
 * What a contestant shall reach.
 *
 * @typedef {object} Goal
 * @property {string} text
 * @property {(figures: Figures) => Spread | undefined} of the value that counts; undefined: not measured this time
 * @property {(median: number) => boolean} [met] absent: a figure to compare with, and no goal
 * @property {boolean} [shown] whether the value stands nowhere else in the table
 */

/**
 * @typedef {import('./statistics.mjs').spread} spread
 * @typedef {ReturnType<spread>} Spread
 * @typedef {object} Figures
 * @property {Spread} perSecond
 * @property {(other: string) => Spread | undefined} ratioTo the rate as a multiple of that of another contestant
 * @property {(name: string) => Spread} measure what a contestant measures besides
 * @property {(name: string, other: string) => Spread | undefined} measureTo the same as a multiple of that of another
 * @property {(name: string, count: number, other: string) => Spread | undefined} measureInTurns the same, in milliseconds,
 *   as a multiple of the time that `count` of another contestant take
 */

/** At least so many a second. @returns {Goal} */
export const perSecond = (least, why = '') => ({
  text: `≥ ${whole(least)}${why}`,
  of: (figures) => figures.perSecond,
  met: (median) => median >= least,
});

/** At least so many times as fast as another contestant. @returns {Goal} */
export const times = (least, other, label = other) => ({
  text: `≥ ${least} × ${label}`,
  of: (figures) => figures.ratioTo(other),
  met: (median) => median >= least,
  shown: true,
});

/** At most so many times as long as `count` of another contestant take. @returns {Goal} */
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

/** Something a contestant measures besides: at least, or at most. @returns {Goal} */
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

/** A time in milliseconds that a contestant measures besides: at most so many times as long as `count` of another take. */
export const measureInTurns = (most, name, count, other, label = other) => ({
  text: `${name} ≤ ${most} × ${count} turns of ${label}`,
  of: (figures) => figures.measureInTurns(name, count, other),
  met: (median) => median <= most,
  shown: true,
});

/** Something that a contestant measures besides: at most so many times that of another. */
export const measureTimes = (most, name, other, label = other) => ({
  text: `${name} ≤ ${most} × ${label}`,
  of: (figures) => figures.measureTo(name, other),
  met: (median) => median <= most,
  shown: true,
});

/** Something a contestant measures besides, to compare with. @returns {Goal} */
export const measured = (name) => ({ text: name, of: (figures) => figures.measure(name), shown: true });
