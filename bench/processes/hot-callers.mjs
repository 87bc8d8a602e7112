// Callers that all want one key, and work for 1 ms under it.
import { setTimeout as pause } from 'node:timers/promises';
import { answer, measured } from '../support/child.mjs';
import { Deadline } from '../support/lanes.mjs';
import { sum } from '../support/statistics.mjs';

const KEY = 'bench:hot';
const WORK_MS = 1;
/**
 * Warm-up turns, alternately with and without work, until after the first heartbeats: in a process that has run for a
 * while, all code is compiled. With work in every turn that would take half a minute.
 */
const WARM_UP = { rounds: 6, withWorkMs: 500, withoutMs: 1000 };

const { LockClient } = await import(process.argv[2]);
let client;
let callers;

async function call(deadline, workMs, waits) {
  let turns = 0;
  do {
    const asked = performance.now();
    const lock = await client.acquire(KEY);
    waits.push(performance.now() - asked);
    if (workMs > 0) await pause(workMs);
    await lock.release();
    turns++;
  } while (!deadline.passed);
  return turns;
}

/** Per caller. */
const turns = (deadline, workMs, waits) =>
  Promise.all(Array.from({ length: callers }, () => call(deadline, workMs, waits)));

answer({
  async open(given) {
    callers = given.callers;
    client = await LockClient.connect(given.options);
    for (let round = 0; round < WARM_UP.rounds; round++) {
      await turns(new Deadline(WARM_UP.withWorkMs), WORK_MS, []);
      await turns(new Deadline(WARM_UP.withoutMs), 0, []);
    }
  },
  /** Also reports how long each caller has waited, and how many turns it had. */
  async slice(ms) {
    const deadline = new Deadline(ms);
    const waits = [];
    let each;
    const figures = await measured(async () => {
      each = await turns(deadline, WORK_MS, waits);
      return sum(each);
    });
    return { ...figures, waits, turns: each };
  },
});
