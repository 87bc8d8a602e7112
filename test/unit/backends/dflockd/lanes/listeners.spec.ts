import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { Backoff } from '../../../../../lib/common/backoff.js';
import { Listeners } from '../../../../../lib/backends/dflockd/lanes/listeners.js';
import { Alarms } from '../../../../../lib/common/alarms.js';
import { AuthError, ConfigError, type LockError, ShuttingDownError } from '../../../../../lib/common/errors.js';
import type { Ms } from '../../../../../lib/common/system.js';
import { selfSigned } from '../../../../support/certificates.js';
import { until } from '../../../../support/until.js';
import { fakeContext, type FakeContext } from '../support/fake-context.js';
import { FakeServer, type Peer } from '../support/fake-server.js';

let server: FakeServer;
let context: FakeContext;
let waits: Alarms;
let listeners: Listeners;
/** What the attempts to connect draw at random. */
let unit: number;

function make(change: Partial<FakeContext['target']> = {}): void {
  context = fakeContext(server);
  context = { ...context, target: { ...context.target, ...change } };
  waits = new Alarms(context.clock, true);
  const backoff = (): Backoff => new Backoff(100, 1000, { unit: () => unit, fill: () => undefined });
  listeners = new Listeners(context, backoff, waits);
}

beforeEach(async () => {
  server = await FakeServer.start(() => 'ok\n');
  unit = 1;
  make();
});

afterEach(async () => {
  listeners.close(new ShuttingDownError());
  expect(context.alarms.size + waits.size).toBe(0);
  await server.close();
});

interface Subscription {
  readonly heard: string[];
  readonly errors: LockError[];
  leave(): void;
}

function listen(pattern: string, group = ''): Subscription {
  const [heard, errors]: [string[], LockError[]] = [[], []];
  const leave = listeners.subscribe(pattern, group, {
    signal: ({ channel, payload }) => heard.push(`${channel} ${payload}`),
    failed: (error) => errors.push(error),
  });
  return { heard, errors, leave };
}

const said = (peer: Peer): string[] =>
  peer.requests.map((r) => (r.t === 'listen' || r.t === 'unlisten' ? `${r.t} ${r.pattern} ${r.group}`.trim() : r.t));

const peer = (at: number, requests = 1): Promise<Peer> =>
  until(() => {
    const found = server.peers[at];
    return found && found.requests.length >= requests ? found : undefined;
  }, `connection ${at} with ${requests} requests`);

/** One more connection is gone. Resolves with the pause before the next attempt. */
async function lost(): Promise<Ms> {
  await until(() => context.log.includes('laneEnded'), 'the loss');
  context.log.length = 0;
  return context.alarms.lastDue - context.clock.now();
}

describe('those who listen without a group', () => {
  it('share a connection, which asks once for each pattern', async () => {
    const [a, again, wild] = [listen('a'), listen('a'), listen('b.*')];
    const { socket } = await peer(0, 2);
    expect(listeners.lanes).toBe(1);
    socket.write('sig a 1\nsig nonsense\nsig b.c 2\nsig c 3\n');
    await until(() => wild.heard.length > 0);
    expect([a.heard, again.heard, wild.heard]).toEqual([['a 1'], ['a 1'], ['b.c 2']]);
    expect(said(server.peers[0]!)).toEqual(['listen a', 'listen b.*']);
    expect(server.peers.length).toBe(1);
  });

  it('ask for a pattern that comes later on the same connection', async () => {
    listen('a');
    await peer(0);
    listen('b');
    expect(said(await peer(0, 2))).toEqual(['listen a', 'listen b']);
  });

  it('leave: the last of a pattern ends it, the last of all ends the connection', async () => {
    const [a, again, b] = [listen('a'), listen('a'), listen('b')];
    const first = await peer(0, 2);
    a.leave();
    again.leave();
    again.leave();
    await peer(0, 3);
    expect(said(first)).toEqual(['listen a', 'listen b', 'unlisten a']);
    expect(listeners.lanes).toBe(1);
    b.leave();
    expect([listeners.lanes, waits.size]).toEqual([0, 0]);
    await until(() => first.ended);
    expect(said(first).length).toBe(3);
    expect([a.errors, again.errors, b.errors]).toEqual([[], [], []]);
    listen('c');
    expect(said(await peer(1))).toEqual(['listen c']);
  });

  it('keep the process alive, as long as they listen', () => {
    expect(waits.size).toBe(0);
    const a = listen('a');
    const b = listen('b');
    expect(waits.size).toBe(1);
    expect(context.clock.nextDue).toBeGreaterThan(0);
    context.clock.stall(2 ** 31);
    context.clock.advance(0);
    expect(waits.size).toBe(1);
    a.leave();
    expect(waits.size).toBe(1);
    b.leave();
    expect(waits.size).toBe(0);
  });

  it('are sent away at the close, and nobody comes after it', async () => {
    const subscriptions = [listen('a'), listen('b'), listen('c', 'g')];
    await until(() => server.peers.length === 2 && server.peers.every(({ requests }) => requests.length > 0));
    const error = new ShuttingDownError();
    listeners.close(error);
    listeners.close(new AuthError());
    for (const { errors } of subscriptions) expect(errors).toEqual([error]);
    expect([listeners.lanes, waits.size]).toEqual([0, 0]);
    await until(() => server.peers.every(({ ended }) => ended));
    const late = listen('d');
    expect(late.errors).toEqual([error]);
    late.leave();
    for (const { leave, errors } of subscriptions) {
      leave();
      expect(errors.length).toBe(1);
    }
    expect(server.peers.length).toBe(2);
  });
});

describe('a member of a group', () => {
  it('has a connection of its own, which ends with it', async () => {
    const one = listen('a', 'g');
    const first = await peer(0);
    const other = listen('a', 'g');
    const second = await peer(1);
    expect(listeners.lanes).toBe(2);
    expect(said(first)).toEqual(['listen a g']);
    first.say('sig a 1\n');
    await until(() => one.heard.length > 0);
    expect(other.heard).toEqual([]);
    one.leave();
    one.leave();
    await until(() => first.ended);
    expect([second.ended, listeners.lanes, waits.size]).toEqual([false, 1, 1]);
    other.leave();
    expect([listeners.lanes, waits.size]).toEqual([0, 0]);
    expect(one.errors).toEqual([]);
  });

  it('is told when the server will not have it, and costs no connection any more', async () => {
    server.script = () => 'error\n';
    const one = listen('a', 'g');
    await until(() => one.errors.length > 0);
    expect(one.errors[0]).toMatchObject({ code: 'UNSUPPORTED' });
    expect([listeners.lanes, waits.size]).toEqual([0, 0]);
    await until(() => server.peers[0]!.ended);
  });

  it('is told when no connection can be had', async () => {
    make({ auth: 'wrong' });
    server.script = () => 'error_auth\n';
    const one = listen('a', 'g');
    await until(() => one.errors.length > 0);
    expect(one.errors[0]).toBeInstanceOf(AuthError);
    expect([listeners.lanes, waits.size, context.alarms.size]).toEqual([0, 0, 0]);
  });
});

describe('a subscription that the server refuses', () => {
  it('fails, and the others go on', async () => {
    server.script = (r) => (r.t === 'listen' && r.pattern === 'bad' ? 'error\n' : 'ok\n');
    const [bad, worse, good] = [listen('bad'), listen('bad'), listen('good')];
    await until(() => bad.errors.length > 0);
    expect(bad.errors[0]).toMatchObject({ code: 'UNSUPPORTED', server: server.endpoint.label });
    expect(bad.errors[0]!.message).toMatch(
      /refuses the subscription: it does not support signals .* --max-subscriptions is reached/,
    );
    expect(worse.errors).toEqual(bad.errors);
    const first = await peer(0, 2);
    first.say('sig bad 1\nsig good 2\n');
    await until(() => good.heard.length > 0);
    expect([bad.heard, good.errors, listeners.lanes]).toEqual([[], [], 1]);
    bad.leave();
    first.reset();
    await lost();
    context.clock.advance(100);
    expect(said(await peer(1))).toEqual(['listen good']);
  });

  it('costs no connection when it was the only one', async () => {
    server.script = () => 'error\n';
    const only = listen('a');
    await until(() => only.errors.length > 0);
    expect([listeners.lanes, waits.size]).toEqual([0, 0]);
    await until(() => server.peers[0]!.ended);
    server.script = () => 'ok\n';
    listen('b');
    expect(said(await peer(1))).toEqual(['listen b']);
  });

  it('is not missed by who has left meanwhile', async () => {
    server.script = () => undefined;
    const [a, b] = [listen('a'), listen('b')];
    const first = await peer(0, 2);
    a.leave();
    await peer(0, 3);
    first.say('error\n');
    first.say('ok\nok\nsig b 1\n');
    await until(() => b.heard.length > 0);
    expect([a.errors, b.errors, listeners.lanes]).toEqual([[], [], 1]);
  });
});

describe('a subscription that the server has had, and refuses when it is asked again', () => {
  const refuse = (): void => {
    server.script = (r) => (r.t === 'listen' && r.pattern === 'a' ? 'error\n' : 'ok\n');
  };
  const degraded = (): string[] => context.log.filter((line) => line.startsWith('degraded'));

  it.each(['', 'g'])('is asked for with the longest delay, and that is said (group "%s")', async (group) => {
    const a = listen('a', group);
    const first = await peer(0);
    first.say('sig a 1\n');
    await until(() => a.heard.length > 0);
    refuse();
    first.reset();
    await lost();
    context.clock.advance(100);
    const second = await peer(1);
    await until(() => degraded().length > 0, 'the event');
    expect(degraded()).toEqual([expect.stringMatching(/refuses the subscription: .*keeps asking/)]);
    context.clock.advance(999);
    expect(second.requests).toHaveLength(1);
    server.script = () => 'ok\n';
    context.clock.advance(1);
    await peer(1, 2);
    second.say('sig a 2\n');
    await until(() => a.heard.length > 1);
    expect([a.heard, a.errors]).toEqual([['a 1', 'a 2'], []]);
  });

  it('is not asked for when nobody wants it any more, nor twice after another loss', async () => {
    const [a, b] = [listen('a'), listen('b')];
    const first = await peer(0, 2);
    first.say('sig b 1\n');
    await until(() => b.heard.length > 0);
    refuse();
    first.reset();
    await lost();
    context.clock.advance(100);
    await until(() => degraded().length > 0, 'the event');
    server.peers[1]!.reset();
    await lost();
    a.leave();
    context.clock.advance(100);
    const third = await peer(2);
    context.clock.advance(5000);
    expect(said(third)).toEqual(['listen b']);
    expect(a.errors).toEqual([]);
  });
});

describe('who listens to a server that gives no connection for it', () => {
  it('does not go deaf in silence', async () => {
    listen('a');
    await peer(0);
    const tellings: string[] = [];
    context.record.tell = (detail) => void tellings.push(detail);
    context.pool.isLinked = true;
    server.proves = false;
    server.script = (_, { socket }) => void socket.end();
    server.peers[0]!.reset();
    for (let i = 0; i < 5; i++) context.clock.advance(await lost());
    expect(tellings).toEqual([
      expect.stringMatching(/^no connection for signals, which are missed until there is one .*without an answer/),
    ]);
  });
});

describe('a listening connection that is lost', () => {
  it('is made again after a pause, with all that is wanted by then', async () => {
    const [a, gone] = [listen('a'), listen('gone')];
    (await peer(0, 2)).reset();
    await lost();
    gone.leave();
    const b = listen('b');
    context.clock.advance(99);
    expect(server.peers.length).toBe(1);
    context.clock.advance(1);
    const second = await peer(1, 2);
    expect(said(second)).toEqual(['listen a', 'listen b']);
    second.say('sig a 1\nsig b 2\n');
    await until(() => b.heard.length > 0);
    expect([a.heard, a.errors]).toEqual([['a 1'], []]);
  });

  it('is not made again when nobody wants it any more', async () => {
    const a = listen('a');
    (await peer(0)).reset();
    await lost();
    a.leave();
    expect(context.alarms.size).toBe(0);
    context.clock.advance(10_000);
    expect(server.peers.length).toBe(1);
  });

  it('is tried less and less often, and as at first once it was up', async () => {
    const a = listen('a');
    const pauses: number[] = [];
    const next = async (): Promise<void> => {
      pauses.push(await lost());
      context.clock.advance(pauses.at(-1)!);
    };
    (await peer(0)).reset();
    const { port } = server;
    await server.close();
    for (let i = 0; i < 3; i++) await next();
    pauses.push(await lost());
    server = await FakeServer.start(() => 'ok\n', port);
    context.clock.advance(pauses.at(-1)!);
    (await peer(0)).reset();
    await next();
    expect(pauses).toEqual([100, 200, 400, 800, 100]);
    expect(a.errors).toEqual([]);
    await peer(1);
  });

  it('is not tried again in the same turn', async () => {
    unit = 0;
    make();
    listen('a');
    (await peer(0)).reset();
    expect(await lost()).toBe(1);
  });

  it('is lost for good after error_auth; who comes later tries anew', async () => {
    make({ auth: 'wrong' });
    server.script = () => 'error_auth\n';
    const [a, b] = [listen('a'), listen('b')];
    await until(() => a.errors.length > 0);
    expect([a.errors[0], b.errors[0]]).toEqual([expect.any(AuthError), expect.any(AuthError)]);
    expect([listeners.lanes, waits.size, context.alarms.size]).toEqual([0, 0, 0]);
    server.script = () => 'ok\n';
    listen('c');
    expect(said(await peer(1, 2))).toEqual(['auth', 'listen c']);
  });
});

describe('TLS for who listens', () => {
  it('that Node refuses is told at once', () => {
    make({ tls: { minVersion: 'nonsense' as never } });
    for (const group of ['', 'g']) expect(listen('a', group).errors).toEqual([expect.any(ConfigError)]);
    expect([listeners.lanes, waits.size]).toEqual([0, 0]);
  });

  it('that was refused at first is lost for good', async () => {
    make({ tls: {} });
    server.script = () => 'error\n';
    server.peers.length = 0;
    const a = listen('a');
    (await until(() => server.peers[0])).say('no TLS here\n');
    await until(() => a.errors.length > 0);
    expect(a.errors).toEqual([expect.any(ConfigError)]);
    expect(context.alarms.size).toBe(0);
  });

  it('that has worked once is tried again', async () => {
    const certificate = await selfSigned();
    const secure: Server = createServer({ ...certificate }, (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write('ok\n');
        socket.once('data', () => socket.destroy());
      });
    });
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    const { port } = secure.address() as AddressInfo;
    make({ endpoint: { host: '127.0.0.1', port, label: 'tls' }, tls: { ca: certificate.cert } });
    const a = listen('a');
    await lost();
    await new Promise((resolve) => secure.close(resolve));
    await server.close();
    server = await FakeServer.start(() => undefined, port);
    context.clock.advance(100);
    (await until(() => server.peers[0])).say('no TLS here\n');
    await lost();
    expect(a.errors).toEqual([]);
    expect(context.alarms.size).toBe(1);
  });
});
