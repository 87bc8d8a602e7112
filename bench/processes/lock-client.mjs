// The load on a lock daemon: `connections` connections, each with `depth` keys of its own.
import { answer, measured } from '../support/child.mjs';
import { Deadline, openAll, runAll } from '../support/lanes.mjs';
import { PairLane } from '../support/pair-lane.mjs';

let lanes;

answer({
  async connect({ host, port, connections, depth }) {
    lanes = await openAll(connections, host, port, (i) => new PairLane(keysOf(i, depth)));
  },
  slice: (ms) => measured(() => runAll(lanes, new Deadline(ms))),
});

/** All of the same length, so that all requests are too. */
function keysOf(connection, depth) {
  const name = (n, width) => String(n).padStart(width, '0');
  return Array.from({ length: depth }, (_, i) => `bench:${name(connection, 4)}:${name(i, 4)}`);
}
