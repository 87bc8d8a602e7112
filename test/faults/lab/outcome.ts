import { STALL_NS, type Span, stalledWithin } from '../log/evidence.js';
import type { Belief } from '../processes/beliefs.js';

/** What became of one lock; nanoseconds after the fault. */
export interface Outcome {
  readonly key: string;
  /** Decimal digits, or ''. */
  readonly fence: string;
  /** When its holder was told; undefined: never. */
  readonly told: number | undefined;
  /** Until when it believed: a process that did not run between its last look and the news believed nothing meanwhile. */
  readonly believed: number;
  /** When its client was connected last, where that is known. */
  readonly connected: number | undefined;
  /** How much of the time until the news its process did not run. */
  readonly stalled: number;
  /** When the rival had the key; undefined: never. */
  readonly rival: number | undefined;
  readonly firstRead: boolean | undefined;
}

/** @param faultAt when the fault struck, nanoseconds @param rivalAt when the rival had the key, if ever */
export function outcomeOf(
  belief: Belief,
  stalls: readonly Span[],
  faultAt: number,
  rivalAt: number | undefined,
): Outcome {
  const { key, fence, affirmedAt, toldAt, connectedAt, firstRead } = belief;
  const wasStalled = toldAt !== undefined && toldAt - affirmedAt > STALL_NS;
  return {
    ...{ key, fence, firstRead },
    told: toldAt === undefined ? undefined : toldAt - faultAt,
    believed: (wasStalled ? affirmedAt : (toldAt ?? Infinity)) - faultAt,
    connected: connectedAt === undefined ? undefined : connectedAt - faultAt,
    stalled: toldAt === undefined ? 0 : stalledWithin(stalls, faultAt, toldAt),
    rival: rivalAt === undefined ? undefined : rivalAt - faultAt,
  };
}

/** Of one package: what stands in the table, and where it broke the promise. */
export interface Judgement {
  readonly cell: string;
  readonly violations: readonly string[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

export function duration(ns: number): string {
  const ms = ns / 1e6;
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(0)} ms`;
}

/** Those that are there. */
export const definite = (values: readonly (number | undefined)[]): number[] =>
  values.filter((value) => value !== undefined);
const toldOf = (outcomes: readonly Outcome[]): number[] => definite(outcomes.map(({ told }) => told));
const rivalsOf = (outcomes: readonly Outcome[]): number[] => definite(outcomes.map(({ rival }) => rival));

/** When holders were told, in the middle. @param details about all of them */
function news(outcomes: readonly Outcome[], details: readonly string[] = []): string {
  const told = toldOf(outcomes);
  if (told.length === 0) return 'never told';
  const never = outcomes.length - told.length;
  const all = never === 0 ? details : [...details, `${never} of ${outcomes.length} never`];
  return `told after ${duration(median(told))}${all.length > 0 ? ` (${all.join(', ')})` : ''}`;
}

/** When the rival got in, in the middle. */
export function rivalIn(outcomes: readonly Outcome[]): string {
  const rivals = rivalsOf(outcomes);
  return rivals.length === 0 ? 'no rival in' : `rival in after ${duration(median(rivals))}`;
}

const times = (outcomes: readonly Outcome[]): string => `${news(outcomes)}, ${rivalIn(outcomes)}`;

/** The same, with the longest time until somebody was told. */
export function newsAtMost(outcomes: readonly Outcome[]): string {
  const told = toldOf(outcomes);
  return news(outcomes, told.length > 0 ? [`at most ${duration(Math.max(...told))}`] : []);
}

/** The holder knows before the rival does. */
export function toldFirst(outcomes: readonly Outcome[]): Judgement {
  const late = outcomes.filter(({ believed, rival }) => rival !== undefined && believed >= rival);
  const violations = late.map(
    ({ key, believed, rival }) => `${key}: believed for ${duration(believed)}, rival in after ${duration(rival!)}`,
  );
  if (rivalsOf(outcomes).length < outcomes.length) violations.push('the rival has not got all the keys');
  return {
    cell: `${times(outcomes)}: told first in ${outcomes.length - late.length} of ${outcomes.length}`,
    violations,
  };
}

/** After the process stood still, the first read is the truth. */
export function firstReadFalse(outcomes: readonly Outcome[]): Judgement {
  const held = outcomes.filter(({ firstRead }) => firstRead === true).length;
  const read = outcomes.filter(({ firstRead }) => firstRead === false).length;
  const count = (n: number): string => `${n} of ${outcomes.length}`;
  const cell = held === 0 ? `first read: not held, ${count(read)}` : `first read: **held**, ${count(held)}`;
  return { cell, violations: read === outcomes.length ? [] : [`${held} read as held, ${read} as lost`] };
}

export function nothingLost(outcomes: readonly Outcome[]): Judgement {
  const lost = outcomes.filter(({ told, rival }) => told !== undefined || rival !== undefined);
  if (lost.length === 0) return { cell: 'nothing lost', violations: [] };
  const cell = `${lost.length} of ${outcomes.length} lost: ${times(lost)}`;
  return { cell, violations: lost.map(({ key }) => `${key} was lost`) };
}

/**
 * Somebody else took the lock away: nobody can be told before that. @param mostNs for each, or for the middle of all; not
 * counting the time in which the holder's process did not run
 */
export function toldWithin(outcomes: readonly Outcome[], mostNs: number, of: 'each' | 'median'): Judgement {
  const told = toldOf(outcomes);
  const running = outcomes.flatMap(({ told, stalled }) => (told === undefined ? [] : [told - stalled]));
  const late = (of === 'each' ? Math.max(...running) : median(running)) > mostNs;
  const violations = told.length < outcomes.length ? [`${outcomes.length - told.length} were never told`] : [];
  const cell = `${newsAtMost(outcomes)}; ${rivalIn(outcomes)}`;
  if (late)
    violations.push(`${cell}; without stalls ${duration(median(running))}, at most ${duration(Math.max(...running))}`);
  return { cell, violations };
}
