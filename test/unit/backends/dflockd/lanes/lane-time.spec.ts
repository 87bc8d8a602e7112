import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Lane } from '../../../../../lib/backends/dflockd/lanes/lane.js';
import type { Speak } from '../../../../../lib/backends/dflockd/lanes/drain-probe.js';
import { LockError, ServerDrainingError } from '../../../../../lib/common/errors.js';
import type { Request } from '../../../../../lib/protocol/messages.js';
import { until } from '../../../../support/until.js';
import type { FakeContext } from '../support/fake-context.js';
import { type FakeServer, obliging } from '../support/fake-server.js';
import { type OpenLane, useLane } from '../support/open-lane.js';

const PING: Request = { t: 'ping' };
const RENEW: Request = { t: 'renew', kind: 'lock', key: 'k', token: 't', leaseMs: 0 };
const nothing = (): void => undefined;

let opened: OpenLane;
let server: FakeServer;
let context: FakeContext;
let lane: Lane;

const { open } = useLane((one) => {
  opened = one;
  ({ server, context, lane } = opened);
});

const said = (): string[] => opened.said;
const heard = (count: number): Promise<unknown> => opened.heard(count);
const answered = (): Promise<unknown> => opened.answered();
const ask = (request: Request): Promise<unknown> => opened.ask(request);

describe('the heartbeats of a lane', () => {
  it('come after each third of the read timeout in which nothing was said', async () => {
    await open();
    context.clock.advance(7999);
    expect(lane.inFlight).toBe(0);
    context.clock.advance(1);
    await heard(1);
    await answered();
    context.clock.advance(7000);
    await ask(PING);
    context.clock.advance(7999);
    expect(lane.inFlight).toBe(0);
    context.clock.advance(1);
    await heard(3);
    expect(said()).toEqual(['ping', 'ping', 'ping']);
    await answered();
  });

  it('of a wait lane come while it owns something, after the others were asked', async () => {
    const asked: Speak[] = [];
    await open('wait', obliging, { drainProbe: { beforeOwnerSpeaks: (speak) => asked.push(speak) } });
    context.clock.advance(60_000);
    expect([asked.length, lane.inFlight]).toEqual([0, 0]);
    lane.adopt();
    lane.adopt();
    context.clock.advance(1);
    expect([asked.length, lane.inFlight]).toEqual([1, 0]);
    asked[0]!();
    await heard(1);
    await answered();
    lane.disown();
    context.clock.advance(8000);
    expect(asked.length).toBe(2);
    asked[1]!(new ServerDrainingError());
    expect(lane.inFlight).toBe(0);
    lane.disown();
    context.clock.advance(60_000);
    expect([asked.length, said()]).toEqual([2, ['ping']]);
  });

  it('ask nobody while nothing is owned', async () => {
    let asked = 0;
    await open('command', obliging, { drainProbe: { beforeOwnerSpeaks: () => asked++ } });
    context.clock.advance(8000);
    await heard(1);
    expect(asked).toBe(0);
    await answered();
  });

  it('are not sent when the lane has become suspect while the others were asked', async () => {
    let speak: Speak = nothing;
    await open('command', obliging, { drainProbe: { beforeOwnerSpeaks: (then) => (speak = then) } });
    lane.adopt();
    context.clock.advance(8000);
    server.script = () => undefined;
    lane.send({ t: 'stats' }, nothing);
    await heard(1);
    context.clock.advance(500);
    expect(lane.state).toBe('suspect');
    speak();
    expect(lane.inFlight).toBe(1);
  });

  it('come earlier when the server is found to be less patient', async () => {
    await open();
    Object.assign(context, { readTimeoutMs: 6000 });
    lane.rearm();
    context.clock.advance(1999);
    expect(lane.inFlight).toBe(0);
    context.clock.advance(1);
    expect(lane.inFlight).toBe(1);
    await answered();
  });

  it('do not come behind a request that waits in the queue', async () => {
    await open('wait', () => undefined);
    lane.send({ t: 'acquire', kind: 'lock', key: 'k', limit: 1, waitMs: 60_000, leaseMs: 0 }, nothing);
    context.clock.advance(59_000);
    expect([lane.inFlight, lane.state]).toEqual([1, 'blocked']);
    await heard(1);
    context.clock.advance(1499);
    expect(lane.state).toBe('blocked');
    context.clock.advance(1);
    expect(lane.state).toBe('suspect');
  });
});

describe('a lane without an answer', () => {
  it('tells the caller how long it waited, and ends after as long again', async () => {
    await open('command', () => undefined);
    const outcomes: unknown[] = [];
    lane.send(PING, (...outcome) => outcomes.push(outcome));
    await heard(1);
    context.clock.advance(499);
    expect(context.log).toEqual([]);
    context.clock.advance(1);
    const { server: label } = lane;
    expect(outcomes).toEqual([[expect.objectContaining({ message: `${label}: no answer within 500 ms` }), 1000]]);
    context.clock.advance(499);
    expect(context.log).toEqual(['doubted']);
    context.clock.advance(1);
    expect(context.log).toEqual(['doubted', `ended ${label}: the server does not answer`, 'laneEnded']);
  });

  it('that somebody has given up waiting for tells the others all the same', async () => {
    await open('command', () => undefined);
    const outcomes: unknown[] = [];
    const forgotten = lane.send(PING, () => outcomes.push('forgotten'));
    lane.send(PING, () => outcomes.push('told'));
    lane.forget(forgotten);
    await heard(2);
    context.clock.advance(500);
    expect(outcomes).toEqual(['told']);
  });

  it('stays for its grants when its server shuts down', async () => {
    await open('command', (r) => (r.t === 'stats' ? undefined : 'ok\n'));
    lane.adopt();
    await ask(PING);
    lane.send({ t: 'stats' }, nothing);
    await heard(2);
    context.clock.advance(500);
    lane.drain();
    context.clock.advance(120_000);
    expect([lane.state, lane.isEnded]).toEqual(['draining', false]);
  });

  it('is trusted again with the last of them only', async () => {
    await open('command', () => undefined);
    lane.send(PING, nothing);
    lane.send(PING, nothing);
    await heard(2);
    context.clock.advance(500);
    server.peers[0]!.say('ok\n');
    await until(() => lane.inFlight === 1);
    expect(lane.state).toBe('suspect');
    server.peers[0]!.say('ok\n');
    await answered();
    expect(context.log).toEqual(['doubted', 'trusted', 'freed']);
    expect(lane.state).toBe('free');
    context.clock.advance(7499);
    expect(lane.isEnded).toBe(false);
  });
});

describe('a bare `error` that may not have been an answer', () => {
  const outcomes: unknown[] = [];
  beforeEach(async () => {
    outcomes.length = 0;
    await open('command', () => undefined);
    lane.send(RENEW, (outcome) => outcomes.push(outcome instanceof LockError ? outcome.code : outcome.s));
    await heard(1);
    server.peers[0]!.say('error\n');
    await heard(2);
  });

  it('was one when another line follows', async () => {
    expect([lane.state, said(), outcomes]).toEqual(['suspect', ['renew', 'ping'], []]);
    expect(lane.lastAckedSend).toBe(-Infinity);
    server.peers[0]!.say('ok\n');
    await answered();
    expect([outcomes, context.log, lane.state, lane.lastAckedSend]).toEqual([
      ['error'],
      ['trusted', 'freed'],
      'free',
      1000,
    ]);
  });

  it('was the end when the end follows', async () => {
    server.peers[0]!.socket.end();
    await until(() => lane.isEnded);
    expect(outcomes).toEqual(['UNAVAILABLE']);
  });

  it('is nobody’s business when its caller has gone', async () => {
    expect(lane.inFlight).toBe(1);
    const told: unknown[] = [];
    const second = lane.send(RENEW, () => told.push('second'));
    await heard(3);
    server.peers[0]!.say('ok\nerror\n');
    await heard(4);
    lane.forget(second);
    lane.send(PING, () => told.push('third'));
    lane.end(new LockError('over'));
    expect(told).toEqual(['third']);
  });

  it('is settled together with an answer that was overdue', async () => {
    context.clock.advance(500);
    expect(context.log).toEqual(['doubted']);
    lane.send(PING, nothing);
    await heard(3);
    server.peers[0]!.say('ok\n');
    await until(() => lane.inFlight === 1);
    expect([outcomes, lane.state]).toEqual([['error'], 'free']);
  });
});
