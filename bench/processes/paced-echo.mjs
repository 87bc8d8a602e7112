// One loop: 1 ms by a timer, then one round trip to an echo server. No lock can be handed over faster than that.
import { answer, measured } from '../support/child.mjs';
import { Deadline, openAll, runAll } from '../support/lanes.mjs';
import { PacedEchoLane } from '../support/paced-echo-lane.mjs';

let lanes;

answer({
  async connect({ host, port }) {
    lanes = await openAll(1, host, port, () => new PacedEchoLane(1));
  },
  slice: (ms) => measured(() => runAll(lanes, new Deadline(ms))),
});
