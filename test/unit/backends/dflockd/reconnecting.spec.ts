import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, type AddressInfo } from 'node:net';
import { RemoteBackend } from '../../../../lib/backends/dflockd/remote.js';
import { Backoff } from '../../../../lib/common/backoff.js';
import { CommandLane } from '../../../../lib/backends/dflockd/lanes/command-lane.js';
import type { Lane } from '../../../../lib/backends/dflockd/lanes/lane.js';
import { ServerRecord } from '../../../../lib/backends/dflockd/lanes/server-record.js';
import { Alarms } from '../../../../lib/common/alarms.js';
import { AuthError, LockError, LockUnavailableError } from '../../../../lib/common/errors.js';
import { systemClock, systemEntropy, type Entropy, type Ms } from '../../../../lib/common/system.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import type { RemoteOptions } from '../../../../lib/locks/options/options.js';
import { resolveRemote } from '../../../../lib/backends/dflockd/options.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { stopwatch } from '../../../support/stopwatch.js';
import { inTime, until } from '../../../support/until.js';
import { FakeServer, obliging, type Peer, type Script } from './support/fake-server.js';
import { request, TOKEN } from './support/scripted.js';
import { enqueue } from '../../../support/lock-backend.js';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serve(script: Script = obliging, port = 0): Promise<FakeServer> {
  const server = await FakeServer.start(script, port);
  closing.push(() => server.close());
  return server;
}

/** A port where nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function backendOf(port: number, options: RemoteOptions = {}): RemoteBackend {
  const config = resolveRemote([`127.0.0.1:${port}`], { commandLanes: 1, ...options });
  const backend = new RemoteBackend(config, systemClock, systemEntropy);
  closing.push(() => backend.close(20));
  return backend;
}

async function clientOf(port: number, options: RemoteOptions): Promise<LockClient> {
  const remote = { commandLanes: 1, ...options };
  const client = new LockClient({ servers: [`127.0.0.1:${port}`], remote, shutdownTimeoutS: 0.1 }, { log: () => {} });
  closing.push(() => client.close());
  return client;
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('rule 12: reconnects', () => {
  it('back off with full jitter: anything below a bound that doubles up to its maximum, from the start after a success', async () => {
    const port = await deadPort();
    // Where in the range each pause falls.
    const units = [0.5, 0, 0.999, 0.25, 0.5, 0.1, 0.5];
    let taken = 0;
    const entropy: Entropy = { fill: () => undefined, unit: () => units[taken++]! };
    const clock = new FakeClock();
    const alarms = new Alarms(clock);
    const commandLane = new CommandLane(
      {
        target: {
          endpoint: { host: '127.0.0.1', port, label: 'x' },
          tls: undefined,
          auth: undefined,
          connectTimeoutMs: 60_000,
        },
        record: new ServerRecord(
          () => undefined,
          () => false,
        ),
        requestTimeoutMs: 60_000,
        readTimeoutMs: 600_000,
        clock,
        alarms,
        drainProbe: { beforeOwnerSpeaks: (speak) => speak() },
        drained: () => undefined,
        silenced: () => undefined,
        laneEnded: () => undefined,
      },
      new Backoff(100, 400, entropy),
      () => undefined,
    );
    closing.push(() => commandLane.destroy(new LockError('test over')));
    const attempt = (): Promise<Lane | LockError> => new Promise((resolve) => commandLane.whenUp(resolve));
    const pauses: Ms[] = [];
    const failed = async (): Promise<void> => {
      expect(await inTime(attempt(), 'the outcome')).toBeInstanceOf(LockUnavailableError);
      const pause = clock.nextDue - clock.now();
      pauses.push(pause);
      clock.advance(pause);
    };
    for (let i = 0; i < 5; i++) await failed();
    // Half of 100; nothing of 200 is still a pause of its own; then parts of 400, the maximum.
    expect(pauses).toEqual([50, 1, 399.6, 100, 200]);
    // The attempt that is under way may have been refused already: 0.1 of 400 then.
    const server = await serve(obliging, port);
    const lane = await until(async () => {
      const outcome = await inTime(attempt(), 'the lane');
      if (outcome instanceof LockError) clock.advance(400);
      return outcome instanceof LockError ? undefined : outcome;
    }, 'the connection');
    const used = taken;
    units[used] = 0.5;
    await server.close();
    await until(() => lane.isEnded, 'the end');
    expect(clock.nextDue - clock.now()).toBe(50);
  });

  it('never happen by themselves after error_auth, of which all callers, waiting or new, learn at once', async () => {
    const server = await serve((r) => (r.t === 'auth' ? 'error_auth\n' : 'ok\n'));
    const client = await clientOf(server.port, { auth: 'wrong', reconnect: { minDelayMs: 1 } });
    const began = performance.now();
    expect(await failure(client.acquire('key', { acquireTimeoutS: 20 }))).toBeInstanceOf(AuthError);
    expect(await failure(client.acquire('key', { acquireTimeoutS: 20 }))).toBeInstanceOf(AuthError);
    expect(await failure(client.tryAcquire('key'))).toBeInstanceOf(AuthError);
    expect(performance.now() - began).toBeLessThan(2000);
    const attempts = server.peers.length;
    // Many times the pause between attempts.
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(server.peers).toHaveLength(attempts);
    expect(attempts).toBe(1);
  });

  it('authenticate before they send requests that were made in the meantime', async () => {
    const ungreeted: Peer[] = [];
    const server = await serve((r, peer) => {
      if (r.t === 'enqueue') return 'queued\n';
      if (r.t === 'wait') return `ok ${TOKEN} 33\n`;
      if (r.t !== 'auth') return obliging(r, peer);
      ungreeted.push(peer);
      return undefined;
    });
    const backend = backendOf(server.port, { auth: 'secret' });
    const asked = [
      backend.tryAcquire(request({ key: 'a' })),
      enqueue(backend, request({ key: 'b' }), 'queue').grant,
      enqueue(backend, request({ key: 'c' }), 'ticket').grant,
      backend.ping(),
    ];
    await until(() => ungreeted.length === 2, 'the greetings on a command and on a wait lane');
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const peer of server.peers) expect(peer.requests.map((r) => r.t)).toEqual(['auth']);
    let isAnswered = false;
    const answers = Promise.all(asked).then(() => (isAnswered = true));
    await until(() => {
      for (const peer of ungreeted.splice(0)) peer.say('ok\n');
      return isAnswered;
    }, 'the answers');
    await answers;
    for (const peer of server.peers) expect(peer.requests.map((r) => r.t).lastIndexOf('auth')).toBe(0);
  });

  it('are awaited by an acquire until its own deadline', async () => {
    const port = await deadPort();
    const client = await clientOf(port, { reconnect: { minDelayMs: 5, maxDelayMs: 20 } });
    const took = stopwatch();
    const began = performance.now();
    const error = await failure(client.acquire('key', { acquireTimeoutS: 0.4 }));
    expect(took()).toBeLessThan(800);
    expect(error).toBeInstanceOf(LockUnavailableError);
    expect(performance.now() - began).toBeGreaterThanOrEqual(399);
    const lock = client.acquire('key', { acquireTimeoutS: 10 });
    lock.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 60));
    await serve(obliging, port);
    expect((await inTime(lock, 'the lock')).isHeld).toBe(true);
  });

  it.each([
    ['nobody listens', undefined],
    ['somebody accepts and never greets', 'silent'],
  ])('are waited for by a try for one connect timeout at most: %s', async (_, silent) => {
    const port = silent ? (await serve(() => undefined)).port : await deadPort();
    const remote = { connectTimeoutMs: 150, auth: 'secret', reconnect: { minDelayMs: 400, maxDelayMs: 400 } };
    const client = await clientOf(port, remote);
    for (let round = 0; round < 2; round++) {
      const took = stopwatch();
      expect(await failure(client.tryAcquire('key'))).toBeInstanceOf(LockUnavailableError);
      expect(took()).toBeLessThan(500);
    }
  });
});
