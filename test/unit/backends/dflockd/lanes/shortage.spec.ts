import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Backoff } from '../../../../../lib/common/backoff.js';
import { Shortage } from '../../../../../lib/backends/dflockd/lanes/shortage.js';
import { Alarms } from '../../../../../lib/common/alarms.js';
import { LockUnavailableError, ServerDrainingError } from '../../../../../lib/common/errors.js';
import type { Speak } from '../../../../../lib/backends/dflockd/lanes/drain-probe.js';
import { FakeClock } from '../../../../support/fake-clock.js';

let clock: FakeClock;
let alarms: Alarms;
let shortage: Shortage;
let degraded: string[];
let spares: number;
let isLinked: boolean;
let ask: (speak: Speak) => void;

beforeEach(() => {
  clock = new FakeClock({ now: 1000 });
  alarms = new Alarms(clock);
  [degraded, spares, isLinked] = [[], 0, true];
  ask = (speak) => speak();
  shortage = new Shortage({
    clock,
    alarms,
    backoff: new Backoff(100, 1000, { unit: () => 1, fill: () => undefined }),
    drainProbe: { beforeOwnerSpeaks: (speak) => ask(speak) },
    isLinked: () => isLinked,
    spare: () => spares++,
    degraded: (detail) => degraded.push(detail),
  });
});

afterEach(() => {
  shortage.close();
  expect(alarms.size).toBe(0);
});

const error = new LockUnavailableError('no room');
const refuse = (openedAt = clock.now()): void => shortage.refused(openedAt, error);

function begin(): void {
  refuse();
  clock.advance(10);
  refuse();
  expect(shortage.detail).toBe('no more connections (no room)');
}

describe('a shortage of connections', () => {
  it('begins with the second refusal, and is told once', () => {
    expect(shortage.mayOpen()).toBe(true);
    refuse();
    expect([shortage.detail, shortage.mayOpen(), degraded]).toEqual([undefined, true, []]);
    clock.advance(10);
    refuse();
    expect(degraded).toEqual(['no more connections (no room): waiters poll over the existing ones']);
    expect(shortage.mayOpen()).toBe(false);
  });

  it.each<[string, () => void]>([
    ['of one wave', () => [refuse(990), clock.advance(10), refuse(990), refuse(995)]],
    ['far apart', () => [refuse(), clock.advance(5001), refuse()]],
    ['with a success between', () => [refuse(), shortage.over(), clock.advance(10), refuse()]],
    ['of a server that is gone', () => [(isLinked = false), refuse(), clock.advance(10), refuse()]],
    ['of a server that shuts down', () => [(ask = (speak) => speak(new ServerDrainingError())), refuse(), refuse()]],
  ])('is not begun by refusals %s', (_, refusals) => {
    refusals();
    expect([shortage.detail, degraded, alarms.size]).toEqual([undefined, [], 0]);
  });

  it('is not begun by what is known to be over when the server has been asked', () => {
    let speak!: Speak;
    ask = (then) => (speak = then);
    refuse();
    clock.advance(10);
    refuse();
    shortage.over();
    speak();
    expect(shortage.detail).toBeUndefined();
  });

  it('lets one connection be tried now and then, less and less often', () => {
    begin();
    for (const pause of [100, 200, 400, 800, 1000, 1000]) {
      clock.advance(pause - 1);
      expect([shortage.mayOpen(), spares]).toEqual([false, 0]);
      clock.advance(1);
      expect([spares, shortage.mayOpen(), shortage.mayOpen()]).toEqual([1, true, false]);
      spares = 0;
      refuse();
    }
    expect(degraded).toHaveLength(1);
  });

  it('is over when that one lasts, and then all who wait may go', () => {
    begin();
    clock.advance(100);
    shortage.mayOpen();
    shortage.opened();
    spares = 0;
    clock.advance(999);
    expect([shortage.detail === undefined, spares]).toEqual([false, 0]);
    clock.advance(1);
    expect([shortage.detail, spares, shortage.mayOpen(), alarms.size]).toEqual([undefined, 1, true, 0]);
    begin();
    expect(degraded).toHaveLength(2);
  });

  it('goes on when nobody wants that one any more', () => {
    begin();
    clock.advance(100);
    shortage.mayOpen();
    shortage.opened();
    shortage.unused(clock.now());
    clock.advance(1000);
    expect([shortage.detail === undefined, shortage.mayOpen()]).toEqual([false, true]);
    shortage.unused(clock.now());
  });

  it('does not begin after the end', () => {
    let speak!: Speak;
    ask = (then) => (speak = then);
    refuse();
    refuse();
    shortage.close();
    speak();
    expect([shortage.detail, degraded]).toEqual([undefined, []]);
  });

  it('has nothing to do with connections that nobody wants while there is none', () => {
    shortage.opened();
    shortage.unused(clock.now());
    expect([shortage.mayOpen(), alarms.size]).toEqual([true, 0]);
  });

  it('is neither kept from beginning nor ended by answers on connections from before', () => {
    const before = clock.now();
    clock.advance(10);
    refuse();
    shortage.answered(before);
    clock.advance(10);
    refuse();
    shortage.answered(before);
    expect(shortage.detail).toBeDefined();
    clock.advance(100);
    expect(shortage.mayOpen()).toBe(true);
    shortage.unused(before);
    refuse(before);
    expect([shortage.mayOpen(), alarms.size]).toEqual([false, 0]);
    shortage.answered(clock.now());
    expect(shortage.detail).toBeUndefined();
    expect(degraded).toHaveLength(1);
  });
});
