import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Backoff } from '../../../../../lib/common/backoff.js';
import { ReconnectingLane } from '../../../../../lib/backends/dflockd/lanes/reconnecting-lane.js';
import { LockError } from '../../../../../lib/common/errors.js';
import type { Ms } from '../../../../../lib/common/system.js';
import { until } from '../../../../support/until.js';
import { fakeContext, type FakeContext } from '../support/fake-context.js';
import { FakeServer, obliging } from '../support/fake-server.js';

let server: FakeServer;
let context: FakeContext;
let link: ReconnectingLane;
let told: string[];
let unit: number;

function make(auth?: string): void {
  context = fakeContext(server);
  context = { ...context, target: { ...context.target, auth } };
  told = [];
  const backoff = new Backoff(100, 1000, { unit: () => unit, fill: () => undefined });
  link = new ReconnectingLane('command', context, backoff, {
    up: () => told.push('up'),
    down: (error, final) => told.push(`down ${error.code}${final ? ' for good' : ''}`),
    dismissed: () => told.push('dismissed'),
  });
}

beforeEach(async () => {
  server = await FakeServer.start(obliging);
  unit = 1;
  make();
});

afterEach(async () => {
  link.close(new LockError('test over'));
  link.lane?.end(new LockError('test over'));
  expect(context.alarms.size).toBe(0);
  await server.close();
});

const events = (count: number) => until(() => told.length >= count, `${count} events`);
const pause = (): Ms => context.alarms.lastDue - context.clock.now();
/** The pause before the next attempt, which is made. */
async function failed(): Promise<Ms> {
  await events(1);
  told.length = 0;
  const ms = pause();
  context.clock.advance(ms);
  return ms;
}
const degraded = (): string[] => context.log.filter((line) => line.startsWith('degraded'));

describe('a lane that is connected again', () => {
  it('has longer and longer pauses at a server that accepts and says nothing that dflockd says', async () => {
    server.proves = false;
    server.script = (_, peer) => void peer.socket.end();
    link.open();
    const pauses: Ms[] = [];
    for (let i = 0; i < 5; i++) pauses.push(await failed());
    expect(pauses).toEqual([100, 200, 400, 800, 1000]);
    expect(link.isUp).toBe(false);
  });

  it('begins with short ones again after an answer', async () => {
    server.proves = false;
    server.script = (_, peer) => void peer.socket.end();
    link.open();
    expect([await failed(), await failed()]).toEqual([100, 200]);
    server.script = (r) => (r.t === 'ping' ? 'error\n' : undefined);
    await until(() => {
      if (!link.isUp && !link.isDialing) context.clock.advance(1000);
      return link.isUp;
    }, 'the lane');
    told.length = 0;
    server.peers.at(-1)!.reset();
    expect(await failed()).toBe(100);
  });

  it('has longer pauses, too, at a server that answers and hangs up again and again, until a lane lasts', async () => {
    link.open();
    const cut = async (): Promise<Ms> => {
      await until(() => link.isUp, 'the lane');
      told.length = 0;
      server.peers.at(-1)!.reset();
      return failed();
    };
    const pauses: Ms[] = [];
    for (let i = 0; i < 7; i++) pauses.push(await cut());
    expect(pauses).toEqual([100, 100, 100, 200, 400, 800, 1000]);
    await until(() => link.isUp, 'the lane');
    context.clock.advance(1000);
    expect([await cut(), await cut()]).toEqual([100, 100]);
  });

  it('is up when the server has answered, not before', async () => {
    server.proves = false;
    server.script = () => undefined;
    link.open();
    const peer = await until(() => server.peers.find(({ requests }) => requests.length > 0), 'the ping');
    expect(peer.requests).toEqual([{ t: 'ping' }]);
    expect([link.isUp, link.lane!.state, told]).toEqual([false, 'connecting', []]);
    peer.say('ok\n');
    await events(1);
    expect([link.isUp, told, link.error]).toEqual([true, ['up'], undefined]);
  });
});

describe('a refusal', () => {
  const refuse = (): void => {
    server.script = (r) => (r.t === 'auth' ? 'error_auth\n' : undefined);
  };

  it('is final where the server has never worked, but for who asks after the longest delay', async () => {
    make('x');
    refuse();
    link.open();
    await events(1);
    expect([told, link.isFinal, context.alarms.size, degraded()]).toEqual([['down AUTH for good'], true, 0, []]);
    link.open();
    link.hurry();
    context.clock.advance(999);
    link.open();
    expect([link.isDialing, server.peers.length]).toEqual([false, 1]);
    context.clock.advance(1);
    link.open();
    server.script = obliging;
    await events(2);
    expect([told[1], link.isFinal]).toEqual(['up', false]);
  });

  it('is put to the test at once where another lane has been accepted since', async () => {
    make('x');
    refuse();
    link.open();
    await events(1);
    context.record.worked();
    link.open();
    expect(link.isDialing).toBe(true);
  });

  it('is retried with the longest delay if the server has worked before, and is reported once', async () => {
    make('x');
    link.open();
    await events(1);
    refuse();
    server.peers[0]!.reset();
    await events(2);
    expect(pause()).toBe(100);
    told.length = 0;
    context.clock.advance(100);
    expect([await failed(), await failed()]).toEqual([1000, 1000]);
    expect(degraded()).toEqual([expect.stringMatching(/refuses the token .*option remote.auth.*keeps trying/)]);
    unit = 0;
    // Never at once, however the dice fall.
    expect(await failed()).toBe(500);
    server.script = obliging;
    await until(() => {
      if (!link.isUp && !link.isDialing) context.clock.advance(1000);
      return link.isUp;
    }, 'the lane');
    expect(context.record.hasWorked).toBe(true);
  });
});

describe('who has such a lane', () => {
  it('may let it go, and gets another', async () => {
    link.open();
    await events(1);
    const old = link.lane!;
    link.replace();
    await events(2);
    expect(link.lane === old).toBe(false);
    old.end(new LockError('enough'));
    expect(told).toEqual(['up', 'up', 'dismissed']);
  });

  it('may drop it, and open it again', async () => {
    link.open();
    await events(1);
    link.drop(new LockError('enough'));
    expect([link.lane, link.isUp, told]).toEqual([undefined, false, ['up', 'dismissed']]);
    link.open();
    await until(() => link.isUp, 'the lane');
  });

  it('may pause: what is lost is not made again before it is wanted', async () => {
    link.open();
    await events(1);
    link.pause();
    server.peers[0]!.reset();
    await events(2);
    expect([told, context.alarms.size]).toEqual([['up', 'down UNAVAILABLE'], 0]);
    link.hurry();
    await events(3);
    expect(told[2]).toBe('up');
  });

  it('may be in a hurry', async () => {
    link.open();
    await events(1);
    server.peers[0]!.reset();
    await events(2);
    link.open();
    expect(link.isDialing).toBe(false);
    link.hurry();
    expect(link.isDialing).toBe(true);
  });

  it('may close it for ever', async () => {
    link.close(new LockError('over'));
    link.close(new LockError('again'));
    link.open();
    link.hurry();
    link.drop(new LockError('enough'));
    expect([link.isFinal, link.error?.message, link.lane, server.peers.length]).toEqual([true, 'over', undefined, 0]);
  });
});
