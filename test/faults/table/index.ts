import { daemonKilled, halfClosed, reset } from './cuts.js';
import { slowClock } from './clocks.js';
import { drain } from './drain.js';
import { lostReplies } from './lost-replies.js';
import { lostRenewals } from './renewals.js';
import type { Row } from './row.js';
import { SILENCES, silence } from './silences.js';
import { unseenReset } from './unseen.js';
import { blocked, blockedTwice, stopped, suspended, wallClockSet } from './stalls.js';

const RUNS = 200;
/** The daemon's default read timeout. */
const USUAL = { readTimeoutS: 23, locks: 5 };

/** The table "fault while holding → holder told", row by row. */
export async function* rows(long: boolean, only = ''): AsyncGenerator<Row> {
  const all: readonly (readonly [name: string, measure: () => Promise<Row>])[] = [
    ['reset', () => reset(RUNS)],
    ['halfClosed', () => halfClosed(RUNS)],
    ['daemonKilled', () => daemonKilled(RUNS)],
    ...SILENCES.map((one) => [`silence ${one.fault}`, () => silence(one, { readTimeoutS: 2, locks: RUNS })] as const),
    ...(long ? SILENCES.map((one) => [`silence ${one.fault} 23`, () => silence(one, USUAL)] as const) : []),
    ['blocked', () => blocked(RUNS)],
    ['blockedTwice', () => blockedTwice(RUNS)],
    ['stopped', () => stopped(RUNS)],
    ['drain', () => drain(100)],
    ['suspended', () => suspended(RUNS)],
    ['slowClock', () => slowClock(100)],
    ['wallClockSet', () => wallClockSet(RUNS)],
    ['lostRenewals', () => lostRenewals(50)],
    ['lostReplies', lostReplies],
    ['unseenReset', () => unseenReset(50)],
  ];
  for (const [name, measure] of all) if (only === '' || name === only) yield await measure();
}
