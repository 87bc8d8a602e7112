// What a process did and suffered since it was asked last: where a wait of others may have come from.
import { readFileSync } from 'node:fs';
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';

/** How often the event loop is looked at. */
const LOOK_MS = 2;
const KINDS = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'young',
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'full',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'steps',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weak',
};

/** What the kernel says of the main thread, in ms: on a processor, and ready while others were on it. Linux only. */
function scheduled() {
  try {
    const [ran, waited] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ');
    return { ran: ran / 1e6, waited: waited / 1e6 };
  } catch {
    return { ran: NaN, waited: NaN };
  }
}

/** @returns a function that tells the vitals since it was called last */
export function vitals() {
  const loop = monitorEventLoopDelay({ resolution: LOOK_MS });
  loop.enable();
  let pauses = [];
  const collections = new PerformanceObserver((list) => {
    for (const { detail, duration } of list.getEntries()) pauses.push([KINDS[detail.kind], duration]);
  });
  collections.observe({ type: 'gc' });
  let before = scheduled();
  return () => {
    const now = scheduled();
    const said = {
      ranMs: now.ran - before.ran,
      waitedMs: now.waited - before.waited,
      turnP99Ms: Math.max(0, loop.percentile(99) / 1e6 - LOOK_MS),
      turnMaxMs: Math.max(0, loop.max / 1e6 - LOOK_MS),
      collections: {},
    };
    for (const [kind, ms] of pauses) {
      const of = (said.collections[kind] ??= { count: 0, sumMs: 0, maxMs: 0 });
      of.count++;
      of.sumMs += ms;
      of.maxMs = Math.max(of.maxMs, ms);
    }
    before = now;
    pauses = [];
    loop.reset();
    return said;
  };
}
