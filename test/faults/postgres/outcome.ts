import { duration, median, type Outcome } from '../lab/outcome.js';

/** What stands in the table, and where the promise was broken. */
export interface Verdict {
  readonly told: string;
  readonly rival: string;
  /** Who knew first, and by how much. */
  readonly lead: string;
  readonly violations: readonly string[];
}

/** A line of the table. */
export interface PostgresRow extends Verdict {
  readonly name: string;
  readonly fault: string;
  readonly promise: string;
  readonly locks: number;
}

const NOTHING = '–';
const definite = (values: readonly (number | undefined)[]): number[] => values.filter((value) => value !== undefined);

const spread = (values: readonly number[]): string =>
  values.length === 0 ? 'never' : `${duration(median(values))}, at most ${duration(Math.max(...values))}`;

/** How long before the rival each holder knew. */
const leads = (outcomes: readonly Outcome[]): number[] =>
  outcomes.flatMap(({ believed, rival }) => (rival === undefined ? [] : [rival - believed]));

function times(outcomes: readonly Outcome[]): Pick<Verdict, 'told' | 'rival'> {
  return {
    told: spread(definite(outcomes.map(({ told }) => told))),
    rival: spread(definite(outcomes.map(({ rival }) => rival))),
  };
}

function missing(outcomes: readonly Outcome[]): string[] {
  const without = outcomes.filter(({ rival }) => rival === undefined);
  return without.map(({ key }) => `${key}: the rival has not got it`);
}

/** Each holder knows before the rival has its lock. The time in which its process did not run does not count. */
export function toldBefore(outcomes: readonly Outcome[]): Verdict {
  const ahead = leads(outcomes);
  const first = ahead.filter((ns) => ns > 0).length;
  const least = Math.min(...ahead);
  const late = outcomes.filter(({ believed, rival, stalled }) => rival !== undefined && believed - stalled >= rival);
  return {
    ...times(outcomes),
    lead: `told first in ${first} of ${outcomes.length}: ${duration(median(ahead))} before, at least ${duration(least)}`,
    violations: [
      ...missing(outcomes),
      ...late.map(({ key, believed, rival }) => `${key}: believed ${duration(believed)}, rival in ${duration(rival!)}`),
    ],
  };
}

/** The server frees the lock and tells the holder in the same moment: the news takes its way. */
export function toldWithin(mostNs: number): (outcomes: readonly Outcome[]) => Verdict {
  return (outcomes) => {
    const behind = leads(outcomes).map((ns) => -ns);
    const late = behind.filter((ns) => ns >= 0);
    const first = outcomes.length - late.length;
    const sorted = [...behind].sort((a, b) => a - b);
    const quantile = (part: number): string => signed(sorted[Math.floor((sorted.length - 1) * part)]!);
    const broken = outcomes.filter(
      ({ believed, rival, stalled }) => rival !== undefined && believed - rival - stalled > mostNs,
    );
    return {
      ...times(outcomes),
      lead:
        `told first in ${first} of ${outcomes.length}; quartiles ${quantile(0.25)}, ${quantile(0.5)}, ${quantile(0.75)}, ` +
        `the last ${quantile(1)}`,
      violations: [
        ...missing(outcomes),
        ...broken.map(({ key, believed, rival }) => `${key}: believed ${duration(believed - rival!)} beside the rival`),
      ],
    };
  };
}

const signed = (ns: number): string => (ns < 0 ? `${duration(-ns)} before` : `${duration(ns)} after`);

/** After the process stood still, the first read is the truth. @param freeNs when the lock must be free */
export function firstReadFalse(freeNs: number): (outcomes: readonly Outcome[]) => Verdict {
  return (outcomes) => {
    const right = outcomes.filter(({ firstRead }) => firstRead === false).length;
    return {
      ...{ told: NOTHING, rival: times(outcomes).rival },
      lead: `first read: not held, ${right} of ${outcomes.length}`,
      violations: [
        ...missing(outcomes),
        ...lateRivals(outcomes, freeNs),
        ...outcomes.filter(({ firstRead }) => firstRead !== false).map(({ key }) => `${key}: read as held`),
      ],
    };
  };
}

const lateRivals = (outcomes: readonly Outcome[], mostNs: number): string[] =>
  outcomes.filter(({ rival = 0 }) => rival > mostNs).map(({ key, rival }) => `${key}: free after ${duration(rival!)}`);

/** The holder is gone: the lock is free. */
export function freeWithin(mostNs: number): (outcomes: readonly Outcome[]) => Verdict {
  return (outcomes) => ({
    ...{ told: NOTHING, rival: times(outcomes).rival, lead: NOTHING },
    violations: [...missing(outcomes), ...lateRivals(outcomes, mostNs)],
  });
}

export function nothingLost(outcomes: readonly Outcome[]): Verdict {
  const lost = outcomes.filter(({ told, rival }) => told !== undefined || rival !== undefined);
  return {
    ...{ told: NOTHING, rival: NOTHING },
    lead: lost.length === 0 ? 'nothing lost' : `${lost.length} of ${outcomes.length} lost`,
    violations: lost.map(({ key }) => `${key} was lost`),
  };
}

/** Nobody can tell the holder in time, but it does not believe for ever. @param mostNs after the fault */
export function believesAtMost(mostNs: number): (outcomes: readonly Outcome[]) => Verdict {
  return (outcomes) => {
    const beside = outcomes.map(({ believed, rival }) => believed - (rival ?? NaN));
    return {
      ...times(outcomes),
      lead: `believed beside the rival for ${spread(beside)}; the fence of the rival is higher`,
      violations: [
        ...missing(outcomes),
        ...outcomes
          .filter(({ believed }) => believed > mostNs)
          .map(({ key, believed }) => `${key}: believed for ${duration(believed)}`),
      ],
    };
  };
}
