import { describe, expect, it } from '@jest/globals';
import { EngineDriver } from '../../../../lib/core/driver.js';
import { REQUESTS_AT_ONCE } from '../../../../lib/daemon/fairness/request-scheduler.js';
import { CommandDesk } from '../../../../lib/daemon/lockd/command-desk.js';
import { LockdState } from '../../../../lib/daemon/lockd/lockd-state.js';
import { EngineHarness } from '../../../support/engine-harness.js';
import { FakeClock } from '../../../support/fake-clock.js';

describe('the weight of a line', () => {
  const { engine } = new EngineHarness();
  const state = new LockdState(new EngineDriver(engine, new FakeClock()), 1024);
  const desk = new CommandDesk(state, { dump: true, registry: true });

  it('is one command, if the line is short', () => {
    for (const line of ['g foo', 'd', 'who bob', `r ${'x'.repeat(256)}`]) expect(desk.weightOf(line)).toBe(1);
  });

  it('grows with the line: after one of 64 KiB, a session looks at the clock before it executes the next', () => {
    expect(desk.weightOf(`g ${'x'.repeat(65_534)}`)).toBeGreaterThanOrEqual(REQUESTS_AT_ONCE);
  });

  it('grows with the number of names that `who NAME` compares', () => {
    for (let n = 0; n < 1024; n++) state.registry.rename(state.join('peer', `peer:${n}`), `name ${n}`);
    expect(desk.weightOf('who bob')).toBeGreaterThanOrEqual(REQUESTS_AT_ONCE);
    expect(desk.weightOf('who')).toBe(1);
  });
});
