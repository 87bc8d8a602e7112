import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Lane } from '../../../lib/client/lane.js';
import type { LaneContext, LaneHooks, Role } from '../../../lib/client/lane-context.js';
import type { Speak } from '../../../lib/client/owner-round.js';
import { LockError, ServerDrainingError } from '../../../lib/common/errors.js';
import type { Request } from '../../../lib/protocol/messages.js';
import { until } from '../../support/until.js';
import { fakeContext, type FakeContext } from './support/fake-context.js';
import { FakeServer, obliging } from './support/fake-server.js';

const PING: Request = { t: 'ping' };
const RENEW: Request = { t: 'renew', kind: 'lock', key: 'k', token: 't', leaseMs: 0 };
const nothing = (): void => undefined;

let server: FakeServer;
let context: FakeContext;
let lane: Lane;

beforeEach(async () => {
  server = await FakeServer.start(obliging);
});

afterEach(async () => {
  lane.end(new LockError('test over'));
  expect(context.alarms.size).toBe(0);
  await server.close();
});

function dial(role: Role = 'command', change: Partial<LaneContext> = {}): void {
  context = fakeContext(server, change);
  const hooks: LaneHooks = {
    freed: () => context.log.push('freed'),
    doubted: () => context.log.push('doubted'),
    trusted: () => context.log.push('trusted'),
    ended: (_, error) => context.log.push(`ended ${error.message}`),
  };
  lane = new Lane(role, context, hooks);
}

async function open(role: Role = 'command', change: Partial<LaneContext> = {}): Promise<void> {
  dial(role, change);
  await until(() => lane.state !== 'connecting');
}

const said = (): string[] => server.peers[0]!.requests.map(({ t }) => t);
const heard = (count: number): Promise<unknown> => until(() => said().length >= count, `${count} requests`);
/** What was sent has been answered. */
const answered = (): Promise<unknown> => until(() => lane.inFlight === 0, 'the answers');
const ask = (request: Request): Promise<unknown> => new Promise((resolve) => lane.send(request, resolve));

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
    await open('wait', { round: { ask: (speak) => asked.push(speak) } });
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
    await open('command', { round: { ask: () => asked++ } });
    context.clock.advance(8000);
    await heard(1);
    expect(asked).toBe(0);
    await answered();
  });

  it('are not sent when the lane has become suspect while the others were asked', async () => {
    let speak: Speak = nothing;
    await open('command', { round: { ask: (then) => (speak = then) } });
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
    lane.hasten();
    context.clock.advance(1999);
    expect(lane.inFlight).toBe(0);
    context.clock.advance(1);
    expect(lane.inFlight).toBe(1);
    await answered();
  });

  it('do not come behind a request that waits in the queue', async () => {
    server.script = () => undefined;
    await open('wait');
    lane.send({ t: 'acquire', kind: 'lock', key: 'k', limit: 1, waitMs: 60_000, leaseMs: 0 }, nothing);
    context.clock.advance(59_000);
    expect([lane.inFlight, lane.state]).toEqual([1, 'blocked']);
  });
});

describe('a lane without an answer', () => {
  it('tells the caller how long it waited, and ends after as long again', async () => {
    server.script = () => undefined;
    await open();
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
    server.script = () => undefined;
    await open();
    const outcomes: unknown[] = [];
    const forgotten = lane.send(PING, () => outcomes.push('forgotten'));
    lane.send(PING, () => outcomes.push('told'));
    lane.forget(forgotten);
    await heard(2);
    context.clock.advance(500);
    expect(outcomes).toEqual(['told']);
  });

  it('stays for its grants when its server shuts down', async () => {
    server.script = (r) => (r.t === 'stats' ? undefined : 'ok\n');
    await open();
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
    server.script = () => undefined;
    await open();
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
    server.script = () => undefined;
    await open();
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

describe('a lane', () => {
  it('has a name of its own, for people', async () => {
    await open();
    expect(lane.id).toMatch(/^command#\d+@127\.0\.0\.1:\d+$/);
  });

  it('but the control lane takes no answer of more than 64 KiB', async () => {
    server.script = () => `ok ${'x'.repeat(66_000)}\n`;
    await open();
    expect(await ask({ t: 'stats' })).toMatchObject({ code: 'PROTOCOL' });
    expect(context.log[0]).toMatch(/: unexpected line "a line that is too long"$/);
  });

  it('is proven to live for a read timeout after the newest request that was answered, less a guard', async () => {
    await open();
    expect(lane.provenUntil()).toBe(-Infinity);
    await ask(PING);
    const proven = lane.provenUntil() - 1000;
    expect(proven).toBeLessThan(24_000);
    expect(proven).toBeGreaterThan(20_000);
  });

  it('that connects does not know that its server shuts down, nor does one that has ended', async () => {
    dial();
    lane.drain();
    await until(() => lane.state !== 'connecting');
    expect([lane.state, context.log]).toEqual(['free', []]);
    lane.end(new LockError('over'));
    lane.drain();
    expect(context.log).toEqual(['ended over', 'laneEnded']);
  });

  it('says how it was lost: by a FIN', async () => {
    await open();
    server.peers[0]!.socket.end();
    await until(() => lane.isEnded);
    expect(context.log[0]).toBe(`ended ${lane.server}: the server closed the connection`);
  });

  it('says how it was lost: by a reset, with the cause', async () => {
    await open();
    let why: Error | undefined;
    lane.onLost((_, error) => (why = error));
    server.peers[0]!.reset();
    await until(() => lane.isEnded);
    expect(why).toMatchObject({ message: expect.stringContaining('ECONNRESET'), cause: { code: 'ECONNRESET' } });
  });

  it('that is idle is told so by the server, and tells how long the silence was', async () => {
    await open();
    context.clock.advance(3000);
    server.peers[0]!.say('error\n');
    await until(() => lane.isEnded);
    expect(context.log[0]).toBe('silenced 3000');
    expect(context.log[1]).toBe(`ended ${lane.server}: the server closed the idle connection`);
  });

  it('ends with a line that nobody asked for', async () => {
    await open();
    server.peers[0]!.say('ok\n');
    await until(() => lane.isEnded);
    expect(context.log[0]).toBe(`ended ${lane.server}: unexpected line "ok"`);
  });

  it('ends with a signal, if it is not there to listen', async () => {
    await open();
    server.peers[0]!.say('sig a b\n');
    await until(() => lane.isEnded);
  });

  it('reads nothing more after its end', async () => {
    await open();
    const outcomes: unknown[] = [];
    lane.send(PING, () => {
      outcomes.push('first');
      lane.end(new LockError('over'));
    });
    lane.send(PING, (outcome) => outcomes.push(outcome instanceof LockError && outcome.message));
    server.script = () => undefined;
    await heard(2);
    server.peers[0]!.say('ok\nok\nnonsense\n');
    await until(() => outcomes.length > 1);
    expect(outcomes).toEqual(['first', 'over']);
    expect(context.log).toEqual(['ended over', 'laneEnded']);
  });

  it('that closes ends with its last answer; one that drains with its last grant', async () => {
    server.script = () => undefined;
    await open();
    lane.send(PING, nothing);
    await heard(1);
    lane.retire(new LockError('unused'));
    expect(lane.state).toBe('closing');
    server.peers[0]!.say('ok\n');
    await until(() => lane.isEnded);
    expect(context.log[0]).toBe(`ended ${lane.server}: closed`);

    await open();
    lane.adopt();
    lane.drain();
    expect([lane.state, context.log]).toEqual(['draining', ['doubted']]);
    lane.disown();
    expect(context.log[1]).toBe('ended the server is shutting down');
  });
});
