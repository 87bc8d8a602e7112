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

/** How long the main thread, or where that is not told the process, has been on a processor, in ms. */
function own() {
  const { ran } = scheduled();
  if (!Number.isNaN(ran)) return ran;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
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
  let ownMaxMs = 0;
  let ran = own();
  // A turn that takes long lets the next look wait; what others had of the processor meanwhile does not count.
  setInterval(() => {
    const now = own();
    ownMaxMs = Math.max(ownMaxMs, now - ran);
    ran = now;
  }, LOOK_MS).unref();
  return () => {
    const now = scheduled();
    const said = {
      ranMs: now.ran - before.ran,
      waitedMs: now.waited - before.waited,
      turnP99Ms: Math.max(0, loop.percentile(99) / 1e6 - LOOK_MS),
      turnMaxMs: Math.max(0, loop.max / 1e6 - LOOK_MS),
      ownMaxMs,
      collections: {},
    };
    for (const [kind, ms] of pauses) {
      const of = (said.collections[kind] ??= { count: 0, sumMs: 0, maxMs: 0 });
      of.count++;
      of.sumMs += ms;
      of.maxMs = Math.max(of.maxMs, ms);
    }
    before = now;
    ownMaxMs = 0;
    pauses = [];
    loop.reset();
    return said;
  };
}
