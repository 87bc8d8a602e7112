import { beforeEach, describe, expect, it } from '@jest/globals';
import { Alarms } from '../../../../lib/common/alarms.js';
import type { Ms } from '../../../../lib/common/system.js';
import { LeaseAlarms } from '../../../../lib/locks/lease/lease-alarms.js';
import { type Planned, type RenewalGroup, RenewalWheel } from '../../../../lib/locks/lease/renewal-wheel.js';
import { FakeClock } from '../../../support/fake-clock.js';

let clock: FakeClock;
let alarms: Alarms;
let wheel: RenewalWheel;
let rung: string[];

class One implements Planned {
  due: Ms = Infinity;
  slot = -1;
  group: RenewalGroup | undefined = undefined;
  place = 0;

  constructor(
    private readonly name: string,
    private readonly then: () => void = () => undefined,
  ) {}

  ring(now: Ms, earlyMs: Ms = 0): void {
    rung.push(`${this.name} at ${now}${earlyMs > 0 ? `, ${earlyMs} early` : ''}`);
    this.then();
  }
}

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  alarms = new Alarms(clock);
  wheel = new RenewalWheel(alarms, 100);
  rung = [];
});

const add = (name: string, due: Ms, then?: () => void): One => {
  const one = new One(name, then);
  expect(wheel.add(one, due)).toBe(true);
  return one;
};

describe('a wheel of renewals', () => {
  it('rings one that is alone in its slot when it is due, not earlier', () => {
    add('a', 2050);
    clock.advance(1049);
    expect(rung).toEqual([]);
    clock.advance(1);
    expect(rung).toEqual(['a at 2050, 100 early']);
    expect([alarms.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  it('rings all of a slot with the first of them, in the order in which they were added, on one timer', () => {
    add('late', 2090);
    add('next slot', 2100);
    add('first', 2010);
    expect(clock.pendingTimers).toBe(1);
    clock.advance(1010);
    expect(rung).toEqual(['late at 2010, 100 early', 'first at 2010, 100 early']);
    clock.advance(90);
    expect(rung.slice(2)).toEqual(['next slot at 2100, 100 early']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('rings each slot that a stall has made overdue', () => {
    for (const due of [1500, 1700, 5000]) add(String(due), due);
    clock.stall(1000);
    clock.advance(0);
    expect(rung).toEqual(['1500 at 2000, 100 early', '1700 at 2000, 100 early']);
  });

  it('does not ring what has been removed, before or meanwhile, and rings the others', () => {
    const [, b] = ['a', 'b', 'c'].map((name) => add(name, 2010));
    wheel.remove(b!);
    wheel.remove(b!);
    const gone: One[] = [];
    add('d', 2020, () => gone.forEach((one) => wheel.remove(one)));
    gone.push(add('e', 2010), add('f', 2010));
    add('g', 2010);
    clock.advance(2000);
    expect(rung.map((line) => line[0])).toEqual(['a', 'c', 'd', 'g']);
    expect(alarms.size).toBe(0);
  });

  it('rings idle once after all have been removed, and has no alarm then', () => {
    for (const one of [add('a', 2010), add('b', 3010)]) wheel.remove(one);
    expect([wheel.size, alarms.size]).toEqual([0, 1]);
    clock.advance(1010);
    expect([alarms.size, clock.pendingTimers]).toEqual([0, 0]);
    expect(rung).toEqual([]);
  });

  it('keeps its alarm for what is planned next', () => {
    wheel.remove(add('a', 2010));
    add('c', 4010);
    clock.advance(3009);
    expect(rung).toEqual([]);
    clock.advance(1);
    expect(rung).toHaveLength(1);
  });

  it('still rings the others when one throws', () => {
    const fails = (): void => {
      throw new Error('broken');
    };
    add('a', 2010);
    add('b', 2010, fails);
    const c = add('c', 2010);
    const d = add('d', 2010);
    add('later', 2210);
    expect(() => clock.advance(1010)).toThrow('broken');
    expect(rung).toHaveLength(2);
    wheel.remove(c);
    clock.advance(0);
    expect(rung.slice(2)).toEqual(['d at 2010, 100 early']);
    expect(d.group).toBeUndefined();
    clock.advance(200);
    expect(rung).toHaveLength(4);
  });

  it('takes what comes back while its slot is rung', () => {
    const again = add('again', 2010, () => rung.length === 1 && wheel.add(again, 4010));
    clock.advance(3010);
    expect(rung).toEqual(['again at 2010, 100 early', 'again at 4010, 100 early']);
  });

  it('has no place for what is a whole turn away', () => {
    add('a', 2010);
    expect(wheel.add(new One('far'), 2010 + 128 * 100)).toBe(false);
  });
});

describe('the alarms of leases', () => {
  let times: LeaseAlarms;
  beforeEach(() => {
    times = new LeaseAlarms(alarms);
  });

  it.each([
    [127, 0],
    [128, 4],
    [1000, 16],
    [15_000, 256],
    [2 ** 31 - 1, 2 ** 25],
    [2 ** 31, 0],
    [Infinity, 0],
    [-1, 0],
    [NaN, 0],
  ])('of %p ms may be early by less than %p ms: a thirty-second', (after, earlyMs) => {
    times.plan(new One('a'), 1050, after);
    clock.advance(49);
    expect(rung).toEqual([]);
    clock.advance(1);
    expect(rung).toEqual([earlyMs === 0 ? 'a at 1050' : `a at 1050, ${earlyMs} early`]);
    expect(earlyMs).toBeLessThanOrEqual(Math.abs(after) / 32 || 0);
  });

  it('ring once, whichever was set last', () => {
    const one = new One('a');
    times.set(one, 1500);
    times.plan(one, 2500, 1500);
    times.plan(one, 3500, 2500);
    times.set(one, 3000);
    times.plan(one, 4000, 3000);
    expect(times.size).toBe(1);
    clock.advance(5000);
    expect(rung).toEqual(['a at 4000, 64 early']);
    times.plan(one, 9000, 3000);
    times.cancel(one);
    times.set(one, 9000);
    times.cancel(one);
    expect(times.size).toBe(0);
  });
});
