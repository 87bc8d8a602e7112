import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Done } from '../../../../../lib/backends/dflockd/lanes/exchange.js';
import { LossListeners } from '../../../../../lib/backends/dflockd/lanes/loss-listeners.js';
import { NO_PROBE, DrainProbe } from '../../../../../lib/backends/dflockd/lanes/drain-probe.js';
import { Alarms } from '../../../../../lib/common/alarms.js';
import { LockUnavailableError, ServerDrainingError } from '../../../../../lib/common/errors.js';
import { FakeClock } from '../../../../support/fake-clock.js';

describe('a drain probe', () => {
  let clock: FakeClock;
  let alarms: Alarms;
  let asked: Done[];
  let spoke: unknown[];

  const make = (requestTimeoutMs = 2000): DrainProbe => {
    const ask = (request: unknown, done: Done): void => {
      expect(request).toEqual({ t: 'ping' });
      asked.push(done);
    };
    return new DrainProbe({ clock, alarms, requestTimeoutMs, ask });
  };
  const speak = (name: string) => (error?: unknown) => spoke.push(error ? [name, error] : name);

  beforeEach(() => {
    clock = new FakeClock({ now: 100 });
    alarms = new Alarms(clock);
    asked = [];
    spoke = [];
  });

  it('asks once for all who come meanwhile', () => {
    const probe = make();
    probe.beforeOwnerSpeaks(speak('a'));
    probe.beforeOwnerSpeaks(speak('b'));
    expect([asked.length, spoke]).toEqual([1, []]);
    asked[0]!({ s: 'ok' }, 0);
    expect(spoke).toEqual(['a', 'b']);
    expect(alarms.size).toBe(0);
  });

  it('tells all that the server shuts down, and nothing of other trouble', () => {
    const probe = make();
    const draining = new ServerDrainingError();
    probe.beforeOwnerSpeaks(speak('a'));
    asked[0]!(draining, 0);
    probe.beforeOwnerSpeaks(speak('b'));
    asked[1]!(new LockUnavailableError('gone'), 0);
    expect(spoke).toEqual([['a', draining], 'b']);
  });

  it.each([
    [2000, 500],
    [200, 200],
  ])('with a request timeout of %d ms keeps nobody for longer than %d ms', (timeout, patience) => {
    make(timeout).beforeOwnerSpeaks(speak('a'));
    clock.advance(patience - 1);
    expect(spoke).toEqual([]);
    clock.advance(1);
    expect(spoke).toEqual(['a']);
  });

  it('does not take the late answer of one probe for that of the next', () => {
    const probe = make();
    probe.beforeOwnerSpeaks(speak('a'));
    clock.advance(500);
    probe.beforeOwnerSpeaks(speak('b'));
    asked[0]!({ s: 'ok' }, 0);
    expect([asked.length, spoke]).toEqual([2, ['a']]);
    expect(alarms.size).toBe(1);
    asked[1]!({ s: 'ok' }, 0);
    expect(spoke).toEqual(['a', 'b']);
  });

  it('is not ended by an answer that comes when nobody waits', () => {
    const probe = make();
    probe.beforeOwnerSpeaks(speak('a'));
    clock.advance(500);
    asked[0]!({ s: 'ok' }, 0);
    expect(spoke).toEqual(['a']);
    probe.beforeOwnerSpeaks(speak('b'));
    expect([asked.length, spoke]).toEqual([2, ['a']]);
  });

  it('is not sent where a connection owns nothing', () => {
    NO_PROBE.beforeOwnerSpeaks(speak('a'));
    expect(spoke).toEqual(['a']);
  });
});

describe('the owners of a lane', () => {
  const error = new LockUnavailableError('gone');

  it('are told once, unless they have gone', () => {
    const owners = new LossListeners();
    const told: unknown[] = [];
    owners.add((...loss) => told.push(['a', ...loss]));
    owners.add(() => told.push('b'))();
    owners.tell('draining', error);
    expect(told).toEqual([['a', 'draining', error]]);
    owners.tell('draining', error);
    expect(told.length).toBe(1);
  });

  it('who come after the end are told soon, unless they have gone by then', async () => {
    const owners = new LossListeners();
    owners.tell('disconnected', error);
    const told: unknown[] = [];
    owners.add((...loss) => told.push(loss));
    owners.add(() => told.push('gone'))();
    expect(told).toEqual([]);
    await Promise.resolve();
    expect(told).toEqual([['disconnected', error]]);
  });
});
