import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { Backoff } from '../../../../../lib/common/backoff.js';
import { CommandLane } from '../../../../../lib/backends/dflockd/lanes/command-lane.js';
import type { Lane } from '../../../../../lib/backends/dflockd/lanes/lane.js';
import { AuthError, LockError, ShuttingDownError } from '../../../../../lib/common/errors.js';
import type { Ms } from '../../../../../lib/common/system.js';
import { selfSigned } from '../../../../support/certificates.js';
import { until } from '../../../../support/until.js';
import { fakeContext, type FakeContext } from '../support/fake-context.js';
import { FakeServer, obliging } from '../support/fake-server.js';

let server: FakeServer;
let context: FakeContext;
let commandLane: CommandLane;
let changes: string[];
let unit: number;

function make(target: Partial<FakeContext['target']> = {}): void {
  context = fakeContext(server);
  context = { ...context, target: { ...context.target, ...target } };
  changes = [];
  const backoff = new Backoff(100, 1000, { unit: () => unit, fill: () => undefined });
  commandLane = new CommandLane(context, backoff, (_, error) => changes.push(error ? error.code : 'up'));
}

beforeEach(async () => {
  server = await FakeServer.start(obliging);
  unit = 1;
  make();
});

afterEach(async () => {
  commandLane.destroy(new LockError('test over'));
  expect(context.alarms.size).toBe(0);
  await server.close();
});

const up = (): Promise<Lane> => until(() => commandLane.lane, 'a lane');
/** By their names: whole lanes take a test framework minutes to compare. */
const nameOf = (outcome: Lane | LockError | undefined): string | undefined =>
  outcome instanceof LockError ? outcome.code : outcome?.id;
const names = (): (string | undefined)[] => commandLane.lanes.map(nameOf);

const nothing = (): void => undefined;

/** One more lane has ended. Resolves with the pause before the next attempt. */
async function lost(): Promise<Ms> {
  await until(() => context.log.includes('laneEnded'), 'the loss');
  context.log.length = 0;
  return context.alarms.lastDue - context.clock.now();
}

/** A lane that owns a grant and whose answer is overdue, and its successor. */
async function setAside(): Promise<[Lane, Lane]> {
  server.script = (r, peer) => (r.t === 'stats' ? undefined : obliging(r, peer));
  commandLane.open();
  const retiring = await up();
  retiring.adopt();
  await new Promise((resolve) => retiring.send({ t: 'ping' }, resolve));
  retiring.send({ t: 'stats' }, nothing);
  await until(() => server.peers[0]!.requests.length > 1);
  context.clock.advance(500);
  return [retiring, await up()];
}

const answerElder = (): void => server.peers[0]!.say('ok {}\n');

describe('a command lane', () => {
  it('connects at its first use, once', async () => {
    expect([commandLane.lanes.length, context.alarms.size, commandLane.isUp]).toEqual([0, 0, false]);
    commandLane.open();
    commandLane.open();
    const lane = await up();
    expect([commandLane.isUp, changes, server.peers.length]).toEqual([true, ['up'], 1]);
    expect([lane.role, lane.server]).toEqual(['command', server.endpoint.label]);
  });

  it('gives its lane to all who wait, and at once to who comes later', async () => {
    const got: unknown[] = [];
    commandLane.whenUp((lane) => got.push(nameOf(lane)));
    commandLane.whenUp(() => got.push('cancelled'))();
    commandLane.whenUp((lane) => got.push(nameOf(lane)));
    expect(got).toEqual([]);
    const lane = await up();
    commandLane.whenUp((again) => got.push(nameOf(again)))();
    expect(got).toEqual([lane.id, lane.id, lane.id]);
  });

  it('is waited for while nobody knows whether an `error` was an answer, and is itself again then', async () => {
    server.script = (r) => (r.t === 'renew' ? 'error\n' : undefined);
    commandLane.open();
    const lane = await up();
    lane.send({ t: 'renew', kind: 'lock', key: 'k', token: 't', leaseMs: 0 }, nothing);
    await until(() => commandLane.lane === undefined);
    const got: unknown[] = [];
    commandLane.whenUp((again) => got.push(nameOf(again)));
    server.peers[0]!.say('ok\n');
    await until(() => got.length > 0);
    expect(got).toEqual([lane.id]);
    expect(server.peers.length).toBe(1);
  });

  it('that is lost is made again after a pause, which grows, and is short again after a success', async () => {
    commandLane.open();
    await up();
    const { port } = server;
    await server.close();
    const pauses: Ms[] = [];
    for (let i = 0; i < 3; i++) {
      pauses.push(await lost());
      if (i === 2) server = await FakeServer.start(obliging, port);
      context.clock.advance(pauses.at(-1)!);
    }
    await up();
    server.peers[0]!.reset();
    pauses.push(await lost());
    expect(pauses).toEqual([100, 200, 400, 100]);
    expect(changes).toEqual(['up', 'UNAVAILABLE', 'up', 'UNAVAILABLE']);
    expect(commandLane.isUp).toBe(false);
    context.clock.advance(99);
    expect(commandLane.lanes.length).toBe(0);
    context.clock.advance(1);
    expect(commandLane.lanes.length).toBe(1);
  });

  it('is not made again in the same turn', async () => {
    unit = 0;
    make();
    commandLane.open();
    await up();
    server.peers[0]!.reset();
    expect(await lost()).toBe(1);
  });

  it('tells who waits of each failure', async () => {
    await server.close();
    const errors: unknown[] = [];
    commandLane.whenUp((error) => errors.push(nameOf(error)));
    await until(() => errors.length > 0);
    commandLane.whenUp((error) => errors.push(nameOf(error)));
    expect(errors.length).toBe(1);
    context.clock.advance(100);
    await until(() => errors.length > 1);
    expect(errors).toEqual(['UNAVAILABLE', 'UNAVAILABLE']);
    expect(changes).toEqual(['UNAVAILABLE']);
  });

  it('is given up for good after error_auth, which whoever comes is told at once', async () => {
    make({ auth: 'wrong' });
    server.script = () => 'error_auth\n';
    commandLane.open();
    await lost();
    expect([changes, context.alarms.size, commandLane.lanes.length]).toEqual([['AUTH'], 0, 0]);
    const got: unknown[] = [];
    commandLane.whenUp((error) => got.push(nameOf(error)));
    expect(got).toEqual(['AUTH']);
    commandLane.open();
    expect(commandLane.lanes.length).toBe(0);
  });
});

describe('a lane that is suspect', () => {
  it('keeps its grants and is replaced, without being down meanwhile', async () => {
    const [retiring, fresh] = await setAside();
    expect(names()).toEqual([fresh.id, retiring.id]);
    expect([retiring.grants, commandLane.isUp, changes]).toEqual([1, true, ['up', 'up']]);
  });

  it('is dismissed as soon as it owns nothing and owes nothing', async () => {
    const [retiring, fresh] = await setAside();
    answerElder();
    await until(() => retiring.isUsable);
    expect(nameOf(commandLane.lane)).toBe(fresh.id);
    let why: Error | undefined;
    retiring.onLost((_, error) => (why = error));
    retiring.disown();
    expect(why).toMatchObject({ message: `${retiring.server}: replaced`, server: retiring.server });
    expect([names(), nameOf(commandLane.lane), context.alarms.size]).toEqual([[fresh.id], fresh.id, 1]);
  });

  it('may be lost: its successor stays', async () => {
    const [retiring, fresh] = await setAside();
    server.peers[0]!.reset();
    await until(() => retiring.isEnded);
    expect([nameOf(commandLane.lane), names(), changes]).toEqual([fresh.id, [fresh.id], ['up', 'up']]);
  });

  it('may outlive its successor', async () => {
    const [retiring, fresh] = await setAside();
    server.peers[1]!.reset();
    await until(() => fresh.isEnded);
    expect([nameOf(commandLane.lane), names(), commandLane.isUp]).toEqual([undefined, [retiring.id], false]);
    let waited = false;
    commandLane.whenUp(() => (waited = true));
    answerElder();
    await until(() => retiring.isUsable);
    expect(waited).toBe(false);
  });

  it('may be doubted again, which brings no further connection', async () => {
    const [retiring, fresh] = await setAside();
    retiring.send({ t: 'stats' }, nothing);
    await until(() => server.peers[0]!.requests.length > 2);
    context.clock.advance(500);
    expect([names(), server.peers.length]).toEqual([[fresh.id, retiring.id], 2]);
  });

  it('is not replaced when the command lane retires', async () => {
    server.script = () => undefined;
    commandLane.open();
    const lane = await up();
    lane.adopt();
    lane.send({ t: 'stats' }, nothing);
    commandLane.retire(new ShuttingDownError());
    context.clock.advance(500);
    expect(names()).toEqual([lane.id]);
  });
});

describe('the end of a command lane', () => {
  it('is that of all its lanes', async () => {
    const lanes = await setAside();
    commandLane.destroy(new ShuttingDownError());
    expect(lanes.map(({ state }) => state)).toEqual(['closed', 'closed']);
    expect(names()).toEqual([]);
  });

  it.each(['retire', 'destroy'] as const)(
    'by %s is told to who waits and to who comes, and there is no other',
    async (how) => {
      const first = new ShuttingDownError();
      const got: unknown[] = [];
      commandLane.whenUp((outcome) => got.push(nameOf(outcome)));
      commandLane[how](first);
      commandLane.destroy(new AuthError());
      commandLane.whenUp((outcome) => got.push(nameOf(outcome)));
      commandLane.open();
      expect(got).toEqual(['SHUTTING_DOWN', 'SHUTTING_DOWN']);
      expect([commandLane.lanes.length, context.alarms.size]).toEqual([0, 0]);
    },
  );

  it('cancels the next attempt', async () => {
    commandLane.open();
    await up();
    server.peers[0]!.reset();
    await lost();
    commandLane.retire(new ShuttingDownError());
    expect(context.alarms.size).toBe(0);
  });

  it('of its server drains all lanes, and another is looked for', async () => {
    const [retiring, fresh] = await setAside();
    fresh.adopt();
    commandLane.drain();
    expect([retiring.state, fresh.state]).toEqual(['draining', 'draining']);
    expect((await up()).id).not.toBe(fresh.id);
  });
});

describe('TLS of a command lane', () => {
  it('that Node refuses is told at once, and for good', () => {
    make({ tls: { minVersion: 'nonsense' as never } });
    const got: unknown[] = [];
    commandLane.whenUp((outcome) => got.push(nameOf(outcome)));
    expect(got).toEqual(['CONFIG']);
    expect([changes, context.alarms.size]).toEqual([['CONFIG'], 0]);
  });

  it('that was refused at first is given up for good', async () => {
    make({ tls: {} });
    commandLane.open();
    (await until(() => server.peers[0])).say('no TLS here\n');
    await lost();
    expect([changes, context.alarms.size]).toEqual([['CONFIG'], 0]);
  });

  it('that has worked once is tried again', async () => {
    const certificate = await selfSigned();
    const secure: Server = createServer({ ...certificate }, (socket) => {
      socket.on('error', nothing);
      socket.once('data', () => {
        socket.write('ok\n');
        socket.once('data', () => socket.destroy());
      });
    });
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    const { port } = secure.address() as AddressInfo;
    make({ endpoint: { host: '127.0.0.1', port, label: 'tls' }, tls: { ca: certificate.cert } });
    commandLane.open();
    (await up()).send({ t: 'ping' }, nothing);
    await lost();
    await new Promise((resolve) => secure.close(resolve));
    await server.close();
    server = await FakeServer.start(() => undefined, port);
    context.clock.advance(100);
    (await until(() => server.peers[0])).say('no TLS here\n');
    await lost();
    expect(changes).toEqual(['up', 'UNAVAILABLE']);
    expect(context.alarms.size).toBe(1);
  });
});
