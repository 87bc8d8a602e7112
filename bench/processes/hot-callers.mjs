// Callers that all want one key, and work for 1 ms under it.
import { setTimeout as pause } from 'node:timers/promises';
import { answer, measured } from '../support/child.mjs';
import { Deadline } from '../support/lanes.mjs';
import { sum } from '../support/statistics.mjs';

const KEY = 'bench:hot';
const WORK_MS = 1;
/**
 * Turns beforehand, with work and without in turn, until after the first heartbeats: a process that has been up for a while has
 * had its code compiled for all that it meets. At the pace of the work alone that would take half a minute.
 */
const WARM_UP = { rounds: 6, withWorkMs: 500, withoutMs: 1000 };

const { openHot } = await import(process.argv[2]);
let acquire;
let callers;

async function call(deadline, workMs, waits) {
  let turns = 0;
  do {
    const asked = performance.now();
    const release = await acquire(KEY);
    waits.push(performance.now() - asked);
    if (workMs > 0) await pause(workMs);
    await release();
    turns++;
  } while (!deadline.passed);
  return turns;
}

/** Of each caller. */
const turns = (deadline, workMs, waits) =>
  Promise.all(Array.from({ length: callers }, () => call(deadline, workMs, waits)));

answer({
  async open(given) {
    callers = given.callers;
    acquire = await openHot(given.where);
    for (let round = 0; round < WARM_UP.rounds; round++) {
      await turns(new Deadline(WARM_UP.withWorkMs), WORK_MS, []);
      await turns(new Deadline(WARM_UP.withoutMs), 0, []);
    }
  },
  /** What each caller has waited, and how often it had its turn, besides. */
  async slice({ startsAt, ms }) {
    await pause(Math.max(0, startsAt - Date.now()));
    const deadline = new Deadline(startsAt + ms - Date.now());
    const waits = [];
    let each;
    const figures = await measured(async () => {
      each = await turns(deadline, WORK_MS, waits);
      return sum(each);
    });
    return { ...figures, waits, turns: each };
  },
});
