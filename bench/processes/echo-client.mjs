// The load on an echo server: as many bytes up as an acquire and a release have, in turn.
import { answer, measured } from '../support/child.mjs';
import { EchoLane } from '../support/echo-lane.mjs';
import { Deadline, openAll, runAll } from '../support/lanes.mjs';

let lanes;

answer({
  async connect({ host, port, connections }) {
    lanes = await openAll(connections, host, port, () => new EchoLane());
  },
  slice: (ms) => measured(() => runAll(lanes, new Deadline(ms))),
});
