import { describe, expect, it } from '@jest/globals';
import { Alarms, newAlarm } from '../../../lib/common/alarms.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('alarms', () => {
  it('ring in the order of their times, on one timer', () => {
    const clock = new FakeClock();
    const alarms = new Alarms(clock);
    const rung: string[] = [];
    const set = (name: string, due: number) => {
      const alarm = newAlarm((now) => rung.push(`${name}@${now}`));
      alarms.set(alarm, due);
      return alarm;
    };
    set('c', 30);
    set('a', 10);
    const moved = set('b', 20);
    expect(clock.pendingTimers).toBe(1);
    alarms.set(moved, 40);
    clock.advance(35);
    expect(rung).toEqual(['a@10', 'c@30']);
    clock.advance(35);
    expect(rung).toEqual(['a@10', 'c@30', 'b@40']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('may be set again while they ring, and never ring after being cancelled or cleared', () => {
    const clock = new FakeClock();
    const alarms = new Alarms(clock);
    let times = 0;
    const again = newAlarm((now) => {
      if (++times < 3) alarms.set(again, now + 5);
    });
    alarms.set(again, 5);
    const never = newAlarm(() => {
      throw new Error('rang');
    });
    alarms.set(never, 7);
    alarms.cancel(never);
    alarms.set(never, 8);
    alarms.set(never, Infinity);
    clock.advance(100);
    expect(times).toBe(3);
    alarms.set(never, 200);
    alarms.clear();
    expect(alarms.size).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('ring although another one has thrown', () => {
    const clock = new FakeClock();
    const alarms = new Alarms(clock);
    const rung: number[] = [];
    alarms.set(
      newAlarm(() => {
        throw new Error('broken');
      }),
      10,
    );
    for (const due of [10, 20])
      alarms.set(
        newAlarm((now) => rung.push(now)),
        due,
      );
    expect(() => clock.advance(15)).toThrow('broken');
    clock.advance(15);
    expect(rung).toHaveLength(2);
    expect([alarms.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  it('that keep the process alive do so only while there are any', () => {
    const clock = new FakeClock();
    const alarms = new Alarms(clock, true);
    const alarm = newAlarm(() => undefined);
    alarms.set(alarm, 10);
    expect(clock.pendingTimers).toBe(1);
    alarms.cancel(alarm);
    expect(clock.pendingTimers).toBe(0);
  });
});
