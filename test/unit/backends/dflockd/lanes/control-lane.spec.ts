import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Backoff } from '../../../../../lib/common/backoff.js';
import { ControlLane } from '../../../../../lib/backends/dflockd/lanes/control-lane.js';
import { ConfigError, LockError, LockUnavailableError, ShuttingDownError } from '../../../../../lib/common/errors.js';
import type { Ms } from '../../../../../lib/common/system.js';
import { until } from '../../../../support/until.js';
import { fakeContext, type FakeContext } from '../support/fake-context.js';
import { FakeServer, obliging } from '../support/fake-server.js';

let server: FakeServer;
let context: FakeContext;
let control: ControlLane;
let unit: number;
let answers: unknown[];

function make(target: Partial<FakeContext['target']> = {}): void {
  context = fakeContext(server);
  context = { ...context, target: { ...context.target, ...target } };
  control = new ControlLane(context, new Backoff(100, 1000, { unit: () => unit, fill: () => undefined }));
}

beforeEach(async () => {
  server = await FakeServer.start(obliging);
  unit = 1;
  answers = [];
  make();
});

afterEach(async () => {
  control.destroy(new LockError('test over'));
  expect(context.alarms.size).toBe(0);
  await server.close();
});

const ping = (): void => control.send({ t: 'ping' }, (...answer) => answers.push(answer));
const answered = (count: number): Promise<unknown> => until(() => answers.length >= count, 'the answer');

async function lost(): Promise<Ms> {
  await until(() => context.log.includes('laneEnded'), 'the loss');
  context.log.length = 0;
  return context.alarms.lastDue - context.clock.now();
}

describe('the control lane', () => {
  it('is one connection, made when it is wanted, and what is asked waits for it', async () => {
    expect(context.alarms.size).toBe(0);
    ping();
    ping();
    control.keep();
    await answered(2);
    expect(answers).toEqual([
      [{ s: 'ok' }, 1000],
      [{ s: 'ok' }, 1000],
    ]);
    ping();
    await answered(3);
    expect(server.peers.length).toBe(1);
  });

  it('that the server, which is there, does not give is missed with a word, once', async () => {
    const tellings: string[] = [];
    context.record.tell = (detail) => void tellings.push(detail);
    context.pool.isLinked = true;
    server.proves = false;
    server.script = (_, { socket }) => void socket.end();
    control.keep();
    for (let i = 0; i < 5; i++) context.clock.advance(await lost());
    expect(tellings).toEqual([expect.stringMatching(/^no connection for stats, .*--max-connections/)]);
  });

  it('takes long answers', async () => {
    const json = JSON.stringify({ locks: ['x'.repeat(100_000)] });
    server.script = () => `ok ${json}\n`;
    control.send({ t: 'stats' }, (outcome) => answers.push(outcome));
    await answered(1);
    expect(answers).toEqual([{ s: 'stats', json }]);
  });

  it('that is lost is made again, with pauses that grow until it is there', async () => {
    control.keep();
    await until(() => server.peers.length > 0);
    ping();
    await answered(1);
    const { port } = server;
    await server.close();
    const pauses: Ms[] = [];
    for (let i = 0; i < 3; i++) {
      pauses.push(await lost());
      if (i === 2) server = await FakeServer.start(obliging, port);
      context.clock.advance(pauses.at(-1)!);
    }
    ping();
    await answered(2);
    server.peers[0]!.reset();
    pauses.push(await lost());
    expect(pauses).toEqual([100, 200, 400, 100]);
  });

  it('is not made again in the same turn', async () => {
    unit = 0;
    make();
    ping();
    await answered(1);
    server.peers[0]!.reset();
    expect(await lost()).toBe(1);
  });

  it('is not made again in a pause before somebody asks', async () => {
    ping();
    await answered(1);
    server.peers[0]!.reset();
    await lost();
    control.pause();
    expect(context.alarms.size).toBe(0);
    ping();
    await answered(2);
    expect(server.peers.length).toBe(2);
  });

  it('that somebody asks over before the next attempt is made at once, and only once', async () => {
    ping();
    await answered(1);
    server.peers[0]!.reset();
    await lost();
    ping();
    await answered(2);
    context.clock.advance(100);
    ping();
    await answered(3);
    expect(server.peers.length).toBe(2);
  });

  it('that is suspect is left alone: the next one who asks gets another', async () => {
    server.script = () => undefined;
    ping();
    await until(() => server.peers[0]?.requests.length);
    context.clock.advance(500);
    expect(answers).toEqual([[expect.any(LockUnavailableError), 1000]]);
    server.script = obliging;
    ping();
    await answered(2);
    expect(server.peers.length).toBe(2);
    // The end of the old one is nobody's loss.
    server.peers[0]!.reset();
    await until(() => context.log.includes('laneEnded'));
    ping();
    await answered(3);
    expect(server.peers.length).toBe(2);
  });

  it('of a server that shuts down says nothing more', async () => {
    control.drain();
    ping();
    await answered(1);
    control.drain();
    await lost();
    expect(server.peers[0]!.requests.length).toBe(1);
  });

  it('that is closed fails what waits and whoever asks, and is not made again', async () => {
    const error = new ShuttingDownError();
    server.script = () => undefined;
    ping();
    await until(() => server.peers[0]?.requests.length);
    control.destroy(error);
    control.destroy(new LockError('again'));
    ping();
    control.keep();
    expect(answers).toEqual([
      [error, 1000],
      [error, 0],
    ]);
    expect(context.alarms.size).toBe(0);
    await until(() => server.peers[0]!.ended);
    expect(server.peers.length).toBe(1);
  });

  it('says at once when Node refuses its TLS options; to keep it harms nobody', () => {
    make({ tls: { minVersion: 'nonsense' as never } });
    control.keep();
    ping();
    expect(answers).toEqual([[expect.any(ConfigError), 0]]);
    expect(context.alarms.size).toBe(0);
  });
});
