import { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { FakeClock } from '../../../support/fake-clock.js';
import { until } from '../../../support/until.js';
import { request, useHttpDaemons } from './harness.js';

/** A clock by which everything takes time: a hundredth of a millisecond for each look at it. */
class BusyClock extends FakeClock {
  override now(): number {
    this.stall(0.01);
    return super.now();
  }
}

const CONNECTIONS = 30;
const REQUESTS = 400;

/** How many answers are given in a turn of the event loop at most, until it is stopped. */
function answersPerTurn(): () => number {
  const ends = jest.spyOn(ServerResponse.prototype, 'end');
  let most = 0;
  let before = 0;
  let goesOn = true;
  const look = (): void => {
    most = Math.max(most, ends.mock.calls.length - before);
    before = ends.mock.calls.length;
    if (goesOn) setImmediate(look);
  };
  setImmediate(look);
  return () => {
    goesOn = false;
    ends.mockRestore();
    return most;
  };
}

describe('many clients that pipeline requests', () => {
  const start = useHttpDaemons();
  afterEach(() => void jest.restoreAllMocks());

  it('are served a few requests in a turn, all together, and are all answered', async () => {
    const daemon = await start({ readTimeout: 3600 }, { clock: new BusyClock() });
    const wires = await Promise.all(Array.from({ length: CONNECTIONS }, () => daemon.open()));
    const stop = answersPerTurn();
    for (const wire of wires) wire.send(request('GET', '/health').repeat(REQUESTS));
    await until(() => wires.every(({ received }) => received.split('{"status":"ok"}').length === REQUESTS + 1));
    expect(stop()).toBeLessThan(100);
  });
});
