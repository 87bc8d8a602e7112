import { duration, type Judgement, median, newsAtMost, type Outcome, rivalIn } from '../lab/outcome.js';
import type { Contestant } from './holders/holder.js';

/** What became of one lock in Redis. */
export interface RedisOutcome extends Outcome {
  readonly redisKey: string;
}

/** A line of the table. */
export interface RedisRow {
  readonly name: string;
  readonly fault: string;
  /** What this package promises. */
  readonly promise: string;
  readonly locks: number;
  /** What was measured, of each package. */
  readonly cells: ReadonlyMap<Contestant, string>;
  /** Of this package alone. */
  readonly violations: readonly string[];
}

/** The holder asks as soon as it is connected again. @param mostNs that the answer may take */
export function toldAtReconnect(outcomes: readonly Outcome[], mostNs: number): Judgement {
  const after = outcomes.map(({ key, told = Infinity, connected = NaN, stalled }) => ({
    ...{ key, ns: told - connected, late: !(told - connected - stalled <= mostNs) },
  }));
  const late = after.filter((one) => one.late);
  const known = outcomes.some(({ connected }) => connected !== undefined);
  const since = `, ${duration(median(after.map(({ ns }) => ns)))} after the reconnect`;
  return {
    cell: `${newsAtMost(outcomes)}${known ? since : ''}; ${rivalIn(outcomes)}`,
    violations: late.map(({ key, ns }) => `${key}: told ${duration(ns)} after the reconnect`),
  };
}
