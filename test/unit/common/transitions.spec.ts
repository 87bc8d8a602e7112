import { describe, expect, it } from '@jest/globals';
import { transitions } from '../../../lib/common/transitions.js';

describe('a transition function', () => {
  const next = transitions<'open' | 'shut', 'push' | 'pull'>('a door', {
    open: { push: 'shut' },
    shut: { pull: 'open' },
  });

  it('tells what follows', () => {
    expect([next('open', 'push'), next('shut', 'pull')]).toEqual(['shut', 'open']);
  });

  it('refuses what its table does not have, and names both', () => {
    expect(() => next('shut', 'push')).toThrow(new Error('a door that is shut cannot "push"'));
  });
});
