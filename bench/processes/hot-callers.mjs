// Callers that all want one key, and work for 1 ms under it.
import { setTimeout as pause } from 'node:timers/promises';
import { answer, measured } from '../support/child.mjs';
import { Deadline } from '../support/lanes.mjs';
import { sum } from '../support/statistics.mjs';

const KEY = 'bench:hot';
const WORK_MS = 1;

const { LockClient } = await import(process.argv[2]);
let client;
let callers;

async function call(deadline, waits) {
  let turns = 0;
  do {
    const asked = performance.now();
    const lock = await client.acquire(KEY);
    waits.push(performance.now() - asked);
    await pause(WORK_MS);
    await lock.release();
    turns++;
  } while (!deadline.passed);
  return turns;
}

answer({
  async open(given) {
    callers = given.callers;
    client = await LockClient.connect(given.options);
  },
  /** What each caller has waited, and how often it had its turn, besides. */
  async slice(ms) {
    const deadline = new Deadline(ms);
    const waits = [];
    let turns;
    const figures = await measured(async () => {
      turns = await Promise.all(Array.from({ length: callers }, () => call(deadline, waits)));
      return sum(turns);
    });
    return { ...figures, waits, turns };
  },
});
