import { describe, it, vi } from 'vitest';
import { play, scenarios } from './scenarios.mjs';

/** The timers that a project may have configured. */
const CONFIGURATIONS = {
  'the defaults': undefined,
  'timers only': { toFake: ['setTimeout', 'clearTimeout'] },
  'what Node has, queues included': {
    toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'Date', 'performance', 'queueMicrotask'],
  },
};

describe.each(Object.entries(CONFIGURATIONS))('vitest, %s', (_, configuration) => {
  const timers = {
    install: () => vi.useFakeTimers(configuration),
    uninstall: () => vi.useRealTimers(),
    advance: (ms) => vi.advanceTimersByTimeAsync(ms),
    runAll: () => vi.runAllTimersAsync(),
  };
  describe.each(['before', 'after'])('installed %s the locks are made', (when) => {
    it.each(Object.keys(scenarios))('%s', (name) => play(name, timers, when));
  });
});
