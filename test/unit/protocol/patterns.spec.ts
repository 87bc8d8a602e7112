import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  isChannel,
  isPattern,
  isWildcard,
  matchesChannel,
  tokenMatcher,
  tokensOf,
} from '../../../lib/protocol/patterns.js';

/** As a client matches: the pattern is prepared once, and channels are split once for all patterns. */
const matcher = (pattern: string) => {
  const matches = tokenMatcher(pattern);
  return (channel: string): boolean => matches(tokensOf(channel));
};

describe('patterns (spec 6.1)', () => {
  it.each(['a', '>', '*', 'a.>', '*.>', 'a.*.c', 'a..b', '.', 'a.'])('%s is valid', (pattern) => {
    expect(isPattern(pattern)).toBe(true);
  });

  it.each(['a*', '*a', '**', 'a.*>', 'a.b>', '>>', '>.a', 'a.>.b', '*>', 'a.**.b'])('%s is invalid', (pattern) => {
    expect(isPattern(pattern)).toBe(false);
  });

  it.each([
    ['a.>', ['a.b', 'a.b.c', 'a.'], ['a', 'b.a', 'A.b']],
    ['>', ['a', 'a.b', '.', 'a..b', '..'], []],
    ['*', ['a', 'A'], ['a.b', '.', 'a.']],
    ['a.*', ['a.b', 'a.'], ['a', 'a.b.c']],
    ['*.>', ['a.b', 'a.b.c', '.'], ['a']],
    ['a.*.c', ['a.b.c', 'a..c'], ['a.c', 'a.b.b.c']],
    ['a..b', ['a..b'], ['a.b', 'a.x.b']],
    ['a', ['a'], ['b', 'a.', 'A', 'aa']],
    ['.', ['.'], ['', 'a.', '..']],
  ])('%s matches %j, not %j', (pattern, yes, no) => {
    const matches = matcher(pattern);
    expect(yes.filter((channel) => !matches(channel))).toEqual([]);
    expect(no.filter(matches)).toEqual([]);
    expect(yes.filter((channel) => !matchesChannel(pattern, channel))).toEqual([]);
    expect(no.filter((channel) => matchesChannel(pattern, channel))).toEqual([]);
  });

  it('know a channel and a wildcard', () => {
    expect(['a', 'a.b', '.', 'a b'].map(isChannel)).toEqual([true, true, true, true]);
    expect(['*', 'a*', '>', 'a.>'].map(isChannel)).toEqual([false, false, false, false]);
    expect(['a.*', '>', 'a'].map(isWildcard)).toEqual([true, true, false]);
  });

  it('match as a regular expression made of them does', () => {
    const tokens = fc.array(fc.constantFrom('', 'a', 'b', '*', '>'), { minLength: 1, maxLength: 4 });
    const names = fc.array(fc.constantFrom('', 'a', 'b'), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(tokens, names, (want, have) => {
        const pattern = want.join('.');
        fc.pre(isPattern(pattern));
        const parts = want.map((token) => (token === '*' ? '[^.]*' : token === '>' ? '.*' : token));
        const wanted = new RegExp(`^${parts.join('\\.')}$`).test(have.join('.'));
        expect(matcher(pattern)(have.join('.'))).toBe(wanted);
        expect(matchesChannel(pattern, have.join('.'))).toBe(wanted);
      }),
      { numRuns: 500 },
    );
  });
});
