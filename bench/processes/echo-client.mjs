// The load on an echo server: alternately as many bytes as an acquire and a release have.
import { answer, measured } from '../support/child.mjs';
import { EchoLane } from '../support/echo-lane.mjs';
import { EchoPipeLane } from '../support/echo-pipe-lane.mjs';
import { Deadline, openAll, runAll } from '../support/lanes.mjs';

let lanes;

answer({
  async connect({ host, port, connections, depth }) {
    const lane = () => (depth === 1 ? new EchoLane() : new EchoPipeLane(depth));
    lanes = await openAll(connections, host, port, lane);
  },
  slice: (ms) => measured(() => runAll(lanes, new Deadline(ms))),
});
