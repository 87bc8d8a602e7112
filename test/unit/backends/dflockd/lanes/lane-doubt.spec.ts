import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Socket } from 'node:net';
import type { Lane } from '../../../../../lib/backends/dflockd/lanes/lane.js';
import type { Role } from '../../../../../lib/backends/dflockd/lanes/lane-context.js';
import { LockError } from '../../../../../lib/common/errors.js';
import type { Request } from '../../../../../lib/protocol/messages.js';
import { until } from '../../../../support/until.js';
import type { Script } from '../support/fake-server.js';
import { OpenLane } from '../support/open-lane.js';

const PING: Request = { t: 'ping' };
const RENEW: Request = { t: 'renew', kind: 'lock', key: 'k', token: 't', leaseMs: 0 };
const nothing = (): void => undefined;

let opened: OpenLane;
let lane: Lane;
let told: unknown[];

beforeEach(() => {
  told = [];
});

afterEach(async () => {
  expect(await opened.close()).toBe(0);
});

/** The server says nothing of its own accord. */
async function open(role: Role = 'command', script: Script = () => undefined): Promise<void> {
  opened = await OpenLane.open(role, script);
  ({ lane } = opened);
}

const tell = (outcome: { s: string } | LockError): unknown =>
  told.push(outcome instanceof LockError ? outcome.code : outcome.s);
const say = (text: string): void => opened.peer.say(text);
const pass = (ms: number): void => opened.context.clock.advance(ms);
const log = (): string[] => opened.context.log;

describe('a doubt about a lane', () => {
  it('that was settled does not shorten the next one', async () => {
    await open();
    lane.send(PING, nothing);
    await opened.heard(1);
    pass(500);
    say('ok\n');
    await opened.answered();
    pass(2000);
    lane.send(PING, nothing);
    await opened.heard(2);
    pass(999);
    expect([lane.state, lane.isEnded]).toEqual(['suspect', false]);
    pass(1);
    expect(lane.isEnded).toBe(true);
  });

  it('stays, and so does its time, while another answer is overdue', async () => {
    await open();
    lane.send(RENEW, tell);
    await opened.heard(1);
    say('error\n');
    await opened.heard(2);
    lane.send(PING, nothing);
    await opened.heard(3);
    pass(500);
    say('ok\n');
    await until(() => lane.inFlight === 1);
    expect([told, lane.state, log()]).toEqual([['error'], 'suspect', ['doubted']]);
    pass(499);
    expect(lane.isEnded).toBe(false);
    pass(1);
    expect(lane.isEnded).toBe(true);
  });

  it('that is settled on a lane of no more use is nobody’s hope', async () => {
    await open();
    lane.adopt();
    lane.send(PING, nothing);
    await opened.heard(1);
    pass(500);
    lane.drain();
    say('ok\n');
    await opened.answered();
    expect([lane.state, log()]).toEqual(['draining', ['doubted', 'doubted']]);
  });
});

describe('a bare `error`', () => {
  it('is not asked about while something else is on its way', async () => {
    await open();
    lane.send(RENEW, tell);
    lane.send(RENEW, tell);
    await opened.heard(2);
    say('error\n');
    await until(() => lane.state === 'suspect');
    say('ok 33\n');
    await opened.answered();
    expect([told, opened.said]).toEqual([
      ['error', 'renewed'],
      ['renew', 'renew'],
    ]);
  });

  it('on a lane that drains is taken for an answer: nothing more can be said', async () => {
    await open();
    lane.adopt();
    lane.send(RENEW, tell);
    await opened.heard(1);
    lane.drain();
    say('error\n');
    await opened.answered();
    expect(told).toEqual(['error']);
  });

  it('that announces the end is not taken for the answer to a heartbeat: a lost lock does not read as held again', async () => {
    await open();
    lane.adopt();
    // The server has closed the connection for silence while this process stood still; now it speaks again.
    const beat = lane.send(PING, nothing);
    await opened.heard(1);
    const before = lane.provenUntil();
    say('error\n');
    await until(() => lane.oldest !== beat, 'the line was read');
    expect([lane.provenUntil(), lane.state]).toEqual([before, 'suspect']);
    opened.peer.socket.end();
    await until(() => lane.isEnded);
    expect(lane.provenUntil()).toBe(before);
  });

  it('to a heartbeat proves its sending once the next line has come, be it another `error`', async () => {
    await open();
    lane.adopt();
    const beat = lane.send(PING, tell);
    await opened.heard(1);
    pass(10);
    say('error\n');
    await until(() => lane.oldest !== beat, 'the line was read');
    expect([lane.lastAckedSend, told]).toEqual([-Infinity, []]);
    await opened.heard(2);
    say('error\n');
    await opened.answered();
    // The last `error` may have announced the end.
    expect([lane.lastAckedSend, lane.state, told]).toEqual([beat.sentAt, 'holding', ['error']]);
    await until(() => log().includes('trusted'));
    expect(opened.said).toEqual(['ping', 'ping']);
  });

  it('to a ping is not asked about where nothing is owned, and proves nothing', async () => {
    await open();
    lane.send(PING, tell);
    await opened.heard(1);
    say('error\n');
    await opened.answered();
    expect([told, lane.state, lane.lastAckedSend, opened.said]).toEqual([['error'], 'free', -Infinity, ['ping']]);
  });

  it('to somebody who has gone is settled all the same', async () => {
    await open();
    lane.forget(lane.send(RENEW, tell));
    await opened.heard(1);
    say('error\n');
    await opened.heard(2);
    say('ok\n');
    await opened.answered();
    expect([told, lane.state]).toEqual([[], 'free']);
  });
});

describe('a lane', () => {
  it('sends at once again when it has read an answer', async () => {
    await open('command', () => 'ok\n');
    await opened.ask(PING);
    await opened.answered();
    await new Promise((resolve) => setImmediate(resolve));
    pass(10);
    expect(lane.send(PING, nothing).sentAt).toBe(1010);
    await opened.answered();
  });

  it('keeps the process alive until its last answer', async () => {
    await open();
    const { socket } = Reflect.get(lane, 'outbox') as { socket: Socket };
    const keepsAlive = (): boolean => (Reflect.get(socket, '_handle') as { hasRef(): boolean }).hasRef();
    expect(keepsAlive()).toBe(false);
    lane.send(PING, nothing);
    lane.send(PING, nothing);
    await opened.heard(2);
    say('ok\n');
    await until(() => lane.inFlight === 1);
    expect(keepsAlive()).toBe(true);
    say('ok\n');
    await opened.answered();
    expect(keepsAlive()).toBe(false);
  });

  it('does not hear after its end that it was idle', async () => {
    await open();
    lane.send(PING, () => lane.end(new LockError('over')));
    await opened.heard(1);
    say('ok\nerror\n');
    await until(() => lane.isEnded);
    expect(log()).toEqual(['ended over', 'laneEnded']);
  });

  it('names its server when that wants to know who it is', async () => {
    await open('command', () => 'error_auth\n');
    expect(await opened.ask(PING)).toMatchObject({ code: 'AUTH', server: lane.server });
  });

  it('may listen without anybody to tell', async () => {
    await open('listener');
    lane.send(PING, tell);
    await opened.heard(1);
    say('sig a b\nok\n');
    await opened.answered();
    expect(told).toEqual(['ok']);
  });
});
