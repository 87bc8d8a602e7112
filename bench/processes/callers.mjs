// Callers of a lock library, each with a key of its own: acquire, release, and again.
import { answer, measured } from '../support/child.mjs';
import { Deadline } from '../support/lanes.mjs';
import { sum } from '../support/statistics.mjs';

const { open } = await import(process.argv[2]);

let run;
let keys;

answer({
  async open({ callers, ...where }) {
    run = await open(where);
    keys = Array.from({ length: callers }, (_, i) => `bench:caller:${String(i).padStart(4, '0')}`);
  },
  slice: (ms) =>
    measured(async () => {
      const deadline = new Deadline(ms);
      return sum(await Promise.all(keys.map((key) => run(key, deadline))));
    }),
});
