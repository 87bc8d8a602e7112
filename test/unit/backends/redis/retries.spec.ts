import { beforeEach, describe, expect, it } from '@jest/globals';
import { Retries } from '../../../../lib/backends/redis/retries.js';
import { Alarms } from '../../../../lib/common/alarms.js';
import { FakeClock } from '../../../support/fake-clock.js';

describe('what is to be asked again', () => {
  let clock: FakeClock;
  let isUp: boolean;
  let unit: number;
  let retries: Retries;
  let asked: string[];
  const one = (name: string): { retry(): void } => ({ retry: () => asked.push(name) });

  beforeEach(() => {
    clock = new FakeClock();
    [isUp, unit, asked] = [true, 0, []];
    retries = new Retries(clock, { unit: () => unit, fill: () => undefined }, new Alarms(clock), () => isUp);
  });

  it.each([
    [0, 50],
    [0.5, 100],
    [0.99, 149],
  ])('is asked after a random pause: %s', (random, pauseMs) => {
    unit = random;
    retries.add(one('a'));
    clock.advance(pauseMs - 1);
    expect(asked).toEqual([]);
    clock.advance(1);
    expect(asked).toEqual(['a']);
    clock.advance(1_000);
    expect(asked).toEqual(['a']);
  });

  it('is asked together, in order, after the pause of the first', () => {
    retries.add(one('a'));
    clock.advance(30);
    unit = 0.5;
    retries.add(one('b'));
    clock.advance(20);
    expect(asked).toEqual(['a', 'b']);
  });

  it('waits for a connection', () => {
    retries.add(one('a'));
    isUp = false;
    clock.advance(50);
    retries.add(one('b'));
    clock.advance(1_000);
    expect(asked).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
    retries.flush();
    expect(asked).toEqual(['a', 'b']);
  });

  it('is not asked any more when it is over', () => {
    const gone = one('a');
    retries.add(gone);
    retries.add(one('b'));
    retries.delete(gone);
    clock.advance(50);
    expect(asked).toEqual(['b']);
  });
});
