import { beforeEach, describe, expect, it } from '@jest/globals';
import { RecentTexts } from '../../../lib/common/recent-texts.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('recent texts', () => {
  let clock: FakeClock;
  let texts: RecentTexts;
  beforeEach(() => {
    clock = new FakeClock({ now: 1000 });
    texts = new RecentTexts(clock);
  });

  it('are new once in ten seconds', () => {
    expect(texts.add('a')).toBe(true);
    clock.stall(9999);
    expect(texts.add('a')).toBe(false);
    expect(texts.add('b')).toBe(true);
    clock.stall(1);
    expect(texts.add('a')).toBe(true);
    expect(texts.add('b')).toBe(false);
  });

  it('are forgotten, however many there were', () => {
    for (let i = 0; i < 1000; i++) texts.add(`key ${i}`);
    clock.stall(10_000);
    texts.add('a');
    expect(Reflect.get(texts, 'saidAt')).toEqual(new Map([['a', 11_000]]));
  });
});
