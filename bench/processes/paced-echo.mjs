// A loop: 1 ms by a timer, then one round trip to an echo server. No lock can be handed over faster than that.
import { answer, measured } from '../support/child.mjs';
import { Deadline, openAll, runAll } from '../support/lanes.mjs';
import { PacedEchoLane } from '../support/paced-echo-lane.mjs';

/** Warm-up round trips without the timer, for as many seconds as the callers of a lock warm up. */
const WARM_UP_MS = 9000;

let lanes;

answer({
  async connect({ host, port }) {
    lanes = await openAll(1, host, port, () => new PacedEchoLane());
    await runAll(lanes, new Deadline(WARM_UP_MS));
    for (const lane of lanes) lane.workMs = 1;
  },
  slice: (ms) => measured(() => runAll(lanes, new Deadline(ms))),
});
