import { createRequire } from 'node:module';
import { describe, it, mock } from 'node:test';
import { play, scenarios } from './scenarios.mjs';

/** The timers that a test may have mocked. */
const CONFIGURATIONS = {
  'the defaults': undefined,
  'timers only': { apis: ['setTimeout'] },
  'timers and Date': { apis: ['setTimeout', 'Date'], now: Date.UTC(2026, 0, 1) },
};

for (const [configured, options] of Object.entries(CONFIGURATIONS)) {
  const timers = {
    install: () => mock.timers.enable(options),
    uninstall: () => mock.timers.reset(),
    async advance(ms, locks) {
      await locks.advance(0);
      mock.timers.tick(ms);
      await locks.advance(0);
    },
    async runAll(locks) {
      await locks.advance(0);
      mock.timers.runAll();
      await locks.advance(0);
      mock.timers.tick(60_000);
      await locks.advance(0);
    },
  };
  for (const when of ['before', 'after']) {
    describe(`node:test, ${configured}, enabled ${when} the locks are made`, () => {
      for (const name of Object.keys(scenarios)) it(name, () => play(name, timers, when));
    });
  }
}

it('the CommonJS build knows the queues of the event loop, too', async () => {
  const { TestLocks } = createRequire(import.meta.url)('nestjs-dflockd/testing');
  mock.timers.enable();
  const locks = new TestLocks();
  try {
    await locks.occupy('a');
    const waiting = locks.service.acquire('a', { acquireTimeoutS: 5 }).catch(({ name }) => name);
    await locks.advance(0);
    mock.timers.tick(5_000);
    if ((await waiting) !== 'AcquireTimeoutError') throw new Error(`got ${await waiting}`);
  } finally {
    mock.timers.reset();
    await locks.close();
  }
});
