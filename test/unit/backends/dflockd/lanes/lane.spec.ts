import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Lane } from '../../../../../lib/backends/dflockd/lanes/lane.js';
import { ServerRecord } from '../../../../../lib/backends/dflockd/lanes/server-record.js';
import { NO_PROBE } from '../../../../../lib/backends/dflockd/lanes/drain-probe.js';
import type { LaneContext, LaneHooks, Role } from '../../../../../lib/backends/dflockd/lanes/lane-context.js';
import { Alarms } from '../../../../../lib/common/alarms.js';
import {
  AuthError,
  LockError,
  LockUnavailableError,
  ProtocolError,
  ServerDrainingError,
} from '../../../../../lib/common/errors.js';
import { systemClock } from '../../../../../lib/common/system.js';
import type { Reply, Request } from '../../../../../lib/protocol/messages.js';
import { stopwatch } from '../../../../support/stopwatch.js';
import { until } from '../../../../support/until.js';
import { FakeServer, obliging } from '../support/fake-server.js';

const TOKEN = '0123456789abcdef0123456789abcdef';
const acquire = (key: string, waitMs = 0): Request => ({
  t: 'acquire',
  kind: 'lock',
  key,
  limit: 1,
  waitMs,
  leaseMs: 0,
});
const release = (key: string): Request => ({ t: 'release', kind: 'lock', key, token: TOKEN });

let server: FakeServer;
let alarms: Alarms;
const lanes: Lane[] = [];

beforeEach(async () => {
  server = await FakeServer.start(obliging);
  alarms = new Alarms(systemClock);
});

afterEach(async () => {
  for (const lane of lanes.splice(0)) lane.end(new LockError('test over'));
  expect(alarms.size).toBe(0);
  alarms.clear();
  await server.close();
});

interface Told {
  lane: Lane;
  log: string[];
}

/** A connected lane, and what its pool was told. */
async function open(role: Role = 'command', change: Partial<LaneContext> = {}): Promise<Told> {
  const log: string[] = [];
  const hooks: LaneHooks<Lane> = {
    connected: () => log.push('connected'),
    freed: () => log.push('freed'),
    doubted: () => log.push('doubted'),
    ended: (_, error) => log.push(`ended ${error.code}`),
  };
  const context: LaneContext = {
    target: { endpoint: server.endpoint, tls: undefined, auth: undefined, connectTimeoutMs: 1000 },
    record: new ServerRecord(
      () => undefined,
      () => false,
    ),
    requestTimeoutMs: 1000,
    readTimeoutMs: 23_000,
    clock: systemClock,
    alarms,
    drainProbe: NO_PROBE,
    silenced: () => undefined,
    drained: () => log.push('drained'),
    laneEnded: () => log.push('laneEnded'),
    ...change,
  };
  const lane = new Lane(role, context, hooks);
  lanes.push(lane);
  await until(() => lane.state !== 'connecting', 'the connection');
  return { lane, log };
}

const ask = (lane: Lane, request: Request): Promise<Reply> =>
  new Promise((resolve, reject) => {
    lane.send(request, (outcome) => (outcome instanceof LockError ? reject(outcome) : resolve(outcome)));
  });

describe('a lane', () => {
  it('sends what was asked in one turn in one write but for the first, also from microtasks, and answers in order', async () => {
    const { lane } = await open();
    const answers: string[] = [];
    const asked = Array.from({ length: 500 }, async (_, i) => {
      await Promise.resolve();
      await Promise.resolve();
      await ask(lane, i % 2 ? acquire(`k${i}`) : { t: 'ping' });
      answers.push(String(i));
    });
    await Promise.all(asked);
    expect(server.peers[0]!.requests).toHaveLength(500);
    expect(server.peers[0]!.chunks.length).toBeLessThanOrEqual(2);
    expect(answers).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
    expect(lane.inFlight).toBe(0);
  });

  it('lets the first request go ahead when nothing is under way, but not an `e`, which leaves with its `w`', async () => {
    const { lane } = await open();
    const sentAtOnce = (request: Request): boolean => {
      const before = lane.lastSend;
      lane.send(request, () => undefined);
      return lane.lastSend > before;
    };
    const answered = (): Promise<unknown> => until(() => lane.inFlight === 0, 'the answers');
    expect([acquire('a'), acquire('b'), release('a')].map(sentAtOnce)).toEqual([true, false, false]);
    await answered();
    const placed: Request[] = [
      { t: 'enqueue', kind: 'lock', key: 'c', limit: 1, leaseMs: 0 },
      { t: 'wait', kind: 'lock', key: 'c', waitMs: 1000 },
    ];
    expect(placed.map(sentAtOnce)).toEqual([false, false]);
    await answered();
    expect(server.peers[0]!.chunks.at(-1)).toBe('e\nc\n\nw\nc\n1\n'.length);
  });

  it('knows when the newest answered request was sent', async () => {
    const { lane } = await open();
    expect(lane.provenUntil()).toBe(-Infinity);
    const before = systemClock.now();
    await ask(lane, { t: 'ping' });
    expect(lane.lastAckedSend).toBeGreaterThanOrEqual(before);
    expect(lane.lastAckedSend).toBeLessThanOrEqual(systemClock.now());
    expect(lane.provenUntil()).toBeLessThan(lane.lastAckedSend + 23_000);
  });

  it('takes an answer as proof for the moment at which its request was sent, however late it comes', async () => {
    const { lane } = await open();
    server.script = (_, peer) => {
      setTimeout(() => peer.say('ok\n'), 60);
      return undefined;
    };
    const before = systemClock.now();
    const sentAt = await new Promise((resolve) => lane.send({ t: 'ping' }, (_, sent) => resolve(sent)));
    expect(sentAt).toBe(lane.lastAckedSend);
    expect(lane.lastAckedSend).toBeGreaterThanOrEqual(before);
    expect(systemClock.now() - lane.lastAckedSend).toBeGreaterThanOrEqual(55);
  });

  it('notifies owners first, then the pool, then the callers that wait for answers, in the turn in which it ends', async () => {
    server.script = () => undefined;
    const { lane, log } = await open();
    const all: string[] = [];
    lane.onLost((reason) => all.push(`owner ${reason}`));
    lane.onLost(() => all.push('second owner'))();
    lane.send(acquire('a'), (outcome) => all.push(`answer ${(outcome as LockError).code}`));
    await until(() => server.peers[0]?.requests.length, 'the request');
    server.peers[0]!.reset();
    await until(() => lane.isEnded, 'the end');
    expect(all).toEqual(['owner disconnected', 'answer UNAVAILABLE']);
    expect(log).toEqual(['connected', 'ended UNAVAILABLE', 'laneEnded']);
  });

  it('tells an owner that comes too late, unless it has changed its mind', async () => {
    const { lane } = await open();
    lane.end(new LockUnavailableError('cut'));
    const told: string[] = [];
    lane.onLost((reason) => told.push(reason));
    lane.onLost(() => told.push('unwanted'))();
    expect(told).toEqual([]);
    await Promise.resolve();
    expect(told).toEqual(['disconnected']);
  });

  it('answers at once what is sent after its end', async () => {
    const { lane } = await open();
    lane.end(new LockUnavailableError('cut'));
    await expect(ask(lane, { t: 'ping' })).rejects.toThrow('cut');
  });

  it.each([
    ['an unsolicited line', 'ok\n', ProtocolError],
    ['an unsolicited error, which announces the close', 'error\n', LockUnavailableError],
    ['a push nobody asked for', 'sig a b\n', ProtocolError],
  ])('ends with %s', async (_, line, type) => {
    const { lane } = await open();
    let error: Error | undefined;
    lane.onLost((_reason, e) => (error = e));
    server.peers[0]!.say(line);
    await until(() => lane.isEnded, 'the end');
    expect(error).toBeInstanceOf(type);
  });

  it('ends with an answer that means nothing, and fails the requests behind it', async () => {
    server.script = (r) => (r.t === 'ping' ? undefined : 'what?\n');
    const { lane } = await open();
    const first = ask(lane, acquire('a'));
    const second = ask(lane, { t: 'ping' });
    await expect(first).rejects.toThrow(/unexpected line "what\?"/);
    await expect(second).rejects.toBeInstanceOf(ProtocolError);
    expect(lane.state).toBe('closed');
  });

  it('ends with reason draining', async () => {
    server.script = () => 'error_draining\n';
    const { lane } = await open();
    let reason: string | undefined;
    lane.onLost((why) => (reason = why));
    await expect(ask(lane, { t: 'ping' })).rejects.toBeInstanceOf(ServerDrainingError);
    expect(reason).toBe('draining');
  });

  it('ends when the server goes, by FIN too', async () => {
    const { lane } = await open();
    server.peers[0]!.socket.end();
    await until(() => lane.isEnded, 'the end');
  });

  it('is holding while it owns grants, and free afterwards', async () => {
    const { lane, log } = await open('wait');
    await ask(lane, acquire('a'));
    lane.adopt();
    lane.adopt();
    expect(lane.state).toBe('holding');
    lane.disown();
    expect(lane.state).toBe('holding');
    lane.disown();
    expect(lane.state).toBe('free');
    expect(log.at(-1)).toBe('freed');
  });

  it('is blocked by a blocking request until its answer', async () => {
    server.script = () => undefined;
    const { lane } = await open('wait');
    const answer = ask(lane, acquire('a', 5000));
    expect(lane.state).toBe('blocked');
    expect(lane.isUsable).toBe(false);
    await until(() => server.peers[0]?.requests.length, 'the request');
    server.peers[0]!.say(`ok ${TOKEN} 33\n`);
    expect(await answer).toEqual({ s: 'granted', token: TOKEN, leaseMs: 33_000 });
    expect(lane.state).toBe('free');
  });

  it('retires after its last answer', async () => {
    server.script = () => undefined;
    const { lane } = await open();
    const answer = ask(lane, release('a'));
    await until(() => server.peers[0]?.requests.length, 'the request');
    lane.retire(new LockUnavailableError('not needed'));
    expect(lane.state).toBe('closing');
    expect(lane.isUsable).toBe(false);
    server.peers[0]!.say('ok\n');
    expect(await answer).toEqual({ s: 'ok' });
    expect(lane.isEnded).toBe(true);
  });

  it('retires at once when nothing is outstanding', async () => {
    const { lane } = await open();
    lane.retire(new LockUnavailableError('not needed'));
    expect(lane.isEnded).toBe(true);
  });
});

describe('a lane whose server shuts down', () => {
  it('takes nothing more, stays for what it owns, and says so to whoever asks', async () => {
    const { lane, log } = await open();
    lane.adopt();
    lane.drain();
    await expect(ask(lane, { t: 'ping' })).rejects.toBeInstanceOf(ServerDrainingError);
    expect(lane.isEnded).toBe(false);
    lane.disown();
    expect(lane.isEnded).toBe(true);
    expect(log).toContain('doubted');
    lane.drain();
    expect(server.peers[0]!.requests).toEqual([]);
  });
});

describe('a server that changes its mind about auth', () => {
  it('costs the lane, and its callers are told why', async () => {
    server.script = () => 'error_auth\n';
    const { lane } = await open();
    await expect(ask(lane, { t: 'ping' })).rejects.toBeInstanceOf(AuthError);
    expect(lane.isEnded).toBe(true);
  });
});

describe('an answer nobody waits for', () => {
  it('is released if it is a grant', async () => {
    const { lane } = await open();
    const exchange = lane.send(acquire('a'), () => {
      throw new Error('must not be called');
    });
    lane.forget(exchange);
    await until(() => server.peers[0]?.requests.length === 2, 'the release');
    expect(server.peers[0]!.requests[1]).toEqual(release('a'));
  });
});

describe('a request without an answer', () => {
  it('fails its caller, makes the lane suspect and costs it nothing else', async () => {
    const { lane, log } = await open('command', { requestTimeoutMs: 40 });
    await ask(lane, { t: 'ping' });
    server.script = () => undefined;
    lane.adopt();
    const lost: string[] = [];
    lane.onLost((reason) => lost.push(reason));
    await expect(ask(lane, acquire('a'))).rejects.toThrow('no answer within 40 ms');
    expect(lane.state).toBe('suspect');
    expect(lane.isUsable).toBe(false);
    expect(log).toEqual(['connected', 'freed', 'doubted']);
    expect(lost).toEqual([]);
    // The late grant is released, and the lane is trusted again.
    server.script = obliging;
    server.peers[0]!.say(`ok ${TOKEN} 33\n`);
    await until(() => server.peers[0]!.requests.length === 3, 'the release');
    expect(server.peers[0]!.requests[2]).toEqual(release('a'));
    expect(lane.state).toBe('holding');
    lane.disown();
  });

  it('ends a lane that owns nothing when it goes on saying nothing', async () => {
    server.script = () => undefined;
    const { lane } = await open('command', { requestTimeoutMs: 30 });
    await expect(ask(lane, { t: 'ping' })).rejects.toThrow('no answer');
    await until(() => lane.isEnded, 'the end');
  });

  it('ends a lane that owns grants only when the server must have closed it', async () => {
    server.script = (r) => (r.t === 'acquire' ? `ok ${TOKEN} 33\n` : undefined);
    const { lane, log } = await open('command', { requestTimeoutMs: 30, readTimeoutMs: 400 });
    const sent = systemClock.now();
    await ask(lane, acquire('a'));
    lane.adopt();
    await until(() => log.includes('doubted'), 'the doubt');
    await until(() => lane.isEnded, 'the end');
    expect(systemClock.now() - sent).toBeGreaterThanOrEqual(400);
  });

  it('does not fail when the answer lay in the buffers of a process that stalled', async () => {
    const { lane } = await open('command', { requestTimeoutMs: 50 });
    lane.adopt();
    for (let round = 0; round < 5; round++) {
      // The answer is on its way when the process stalls for longer than the deadline: timers come before input.
      server.script = (_request, peer) => {
        peer.say('ok\n');
        const wake = performance.now() + 120;
        while (performance.now() < wake);
        return undefined;
      };
      expect(await ask(lane, { t: 'ping' })).toEqual({ s: 'ok' });
      expect(lane.state).toBe('holding');
    }
    lane.disown();
  });
});

describe('heartbeats', () => {
  it('are sent every third of the read timeout on a command lane, and an `error` counts as a sign of life once the next answer has come', async () => {
    server.script = () => 'error\n';
    const began = systemClock.now();
    const { lane } = await open('command', { readTimeoutMs: 300, requestTimeoutMs: 5000 });
    const took = stopwatch();
    lane.adopt();
    await until(() => (server.peers[0]?.requests.length ?? 0) >= 17, 'the first ping, then eight, and one behind each');
    expect(took()).toBeLessThan(2200);
    expect(systemClock.now() - began).toBeGreaterThan(790);
    expect(new Set(server.peers[0]!.requests.map((r) => r.t))).toEqual(new Set(['ping']));
    expect(lane.isEnded).toBe(false);
    expect(lane.lastAckedSend).toBeGreaterThan(began);
  });

  it('come on a wait lane only while it owns something', async () => {
    const { lane } = await open('wait', { readTimeoutMs: 90 });
    await ask(lane, acquire('a', 1000));
    lane.adopt();
    await until(() => server.peers[0]!.requests.length >= 3, 'pings');
    lane.disown();
    const said = server.peers[0]!.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(server.peers[0]!.requests.length).toBeLessThanOrEqual(said + 1);
  });
});
