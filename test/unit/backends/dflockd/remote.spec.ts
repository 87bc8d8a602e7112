import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AcquireRequest, Grant, LinkEvent } from '../../../../lib/backends/backend.js';
import { RemoteBackend } from '../../../../lib/backends/dflockd/remote.js';
import {
  AcquireTimeoutError,
  LockLostError,
  LockUnavailableError,
  NotLeaderError,
  ProtocolError,
} from '../../../../lib/common/errors.js';
import { type Clock, systemClock } from '../../../../lib/common/system.js';
import type { RemoteOptions } from '../../../../lib/locks/options/options.js';
import { resolveRemote } from '../../../../lib/backends/dflockd/options.js';
import { FakeClock, FakeEntropy } from '../../../support/fake-clock.js';
import { inTime, until } from '../../../support/until.js';
import { FakeServer, obliging, type Peer, type Script } from './support/fake-server.js';
import { enqueue, release } from '../../../support/lock-backend.js';

const TOKEN = '0123456789abcdef0123456789abcdef';
const { now } = systemClock;

let server: FakeServer;
let backend: RemoteBackend;
let links: LinkEvent[];

/** Tries are refused, waits are not answered, everything else is granted. */
const busy: Script = (request, peer) => {
  if (request.t !== 'acquire') return obliging(request, peer);
  return request.waitMs === 0 ? 'timeout\n' : undefined;
};

beforeEach(async () => {
  server = await FakeServer.start(obliging);
});

afterEach(async () => {
  await backend.close(50);
  await server.close();
});

async function start(options: RemoteOptions = {}, clock: Clock = systemClock): Promise<RemoteBackend> {
  backend = new RemoteBackend(
    resolveRemote([server.endpoint.label], { commandLanes: 1, placeLeaseS: 60, ...options }),
    clock,
    new FakeEntropy(),
  );
  links = [];
  backend.onLink((event) => links.push(event));
  await backend.start();
  return backend;
}

const request = (change: Partial<AcquireRequest> = {}): AcquireRequest => ({
  key: 'k',
  kind: 'lock',
  limit: 1,
  leaseMs: 10_000,
  deadline: now() + 5000,
  ...change,
});

/** Begins to wait, and returns the connection on which it does. */
async function waitOnServer(req = request()) {
  server.script = busy;
  const pending = enqueue(backend, req, 'queue');
  pending.grant.catch(() => undefined);
  await inTime(pending.placed, 'the place');
  const peer = await until(() => waiterPeers(req.key)[0]);
  return { pending, peer };
}

/** The connections that are, or were, in the queue of the key. */
const waiterPeers = (key: string): Peer[] =>
  server.peers.filter((p) => p.requests.some((r) => r.t === 'acquire' && r.waitMs > 0 && r.key === key));

/** The connections that said such a thing. */
const speakers = (t: string): Peer[] => server.peers.filter((p) => p.requests.some((r) => r.t === t));

const acquired = async (): Promise<Grant> => (await backend.tryAcquire(request()))!;

describe('waiting', () => {
  it('has a connection of its own, and asks for the rest of the time, rounded up', async () => {
    await start();
    const { pending, peer } = await waitOnServer(request({ deadline: now() + 2900 }));
    expect(peer).not.toBe(server.peers[0]);
    expect(peer.requests).toEqual([expect.objectContaining({ t: 'acquire', waitMs: 3000 })]);
    peer.say(`ok ${TOKEN} 10\n`);
    const grant = await pending.grant;
    expect(grant.owner.id).toMatch(/^wait/);
    server.script = obliging;
    expect(await release(backend, grant)).toBe('released');
    expect(peer.requests.at(-1)).toMatchObject({ t: 'release', token: TOKEN });
    expect(backend.lanes()).toEqual([{ command: 1, blocked: 0, holding: 0, free: 1, polling: 0 }]);
  });

  it('closes its connection when it is given up, because there is no other way', async () => {
    await start();
    const { pending, peer } = await waitOnServer();
    pending.cancel(new Error('enough'));
    await expect(pending.grant).rejects.toThrow('enough');
    await until(() => peer.ended, 'the connection to close');
    expect(backend.lanes()[0]).toMatchObject({ blocked: 0, holding: 0, free: 0 });
  });

  it('does not hand over a grant that may be stale: it renews first', async () => {
    await start();
    const { pending, peer } = await waitOnServer(request({ leaseMs: 1000 }));
    await new Promise((resolve) => setTimeout(resolve, 600));
    server.script = obliging;
    const answered = now();
    peer.say(`ok ${TOKEN} 1\n`);
    const grant = await inTime(pending.grant, 'the grant');
    expect(peer.requests.at(-1)).toMatchObject({ t: 'renew', token: TOKEN, leaseMs: 1000 });
    expect(grant.validFrom).toBeGreaterThanOrEqual(answered - 1);
  });

  it('keeps its turn when such a renewal fails, and gives the grant away when it is given up meanwhile', async () => {
    await start();
    const first = await waitOnServer(request({ leaseMs: 1000 }));
    await new Promise((resolve) => setTimeout(resolve, 600));
    server.script = (r, peer) => (r.t === 'renew' ? 'error\n' : obliging(r, peer));
    first.peer.say(`ok ${TOKEN} 1\n`);
    const grant = await inTime(first.pending.grant, 'the grant of another connection');
    await until(() => first.peer.ended, 'the connection to close');
    await release(backend, grant);

    const second = await waitOnServer(request({ leaseMs: 1000, key: 'other' }));
    const peer = waiterPeers('other')[0]!;
    await new Promise((resolve) => setTimeout(resolve, 600));
    server.script = () => undefined;
    peer.say(`ok ${TOKEN} 1\n`);
    await until(() => peer.requests.some((r) => r.t === 'renew'), 'the renewal');
    second.pending.cancel(new Error('enough'));
    await expect(second.pending.grant).rejects.toThrow('enough');
    peer.say('ok 1\n');
    await until(() => peer.requests.at(-1)?.t === 'release', 'the release');
  });

  it.each<[string, boolean, (peer: Peer) => void]>([
    ['on another connection after a bare error', true, (peer) => peer.say('error\n')],
    ['on another connection after the loss of its own', true, (peer) => peer.reset()],
    ['when the server is full', false, (peer) => peer.say('error_max_locks\n')],
    ['when the queue is full', false, (peer) => peer.say('error_max_waiters\n')],
  ])('goes on within its deadline %s', async (_, isFinal, trouble) => {
    await start();
    const { pending, peer } = await waitOnServer();
    const asked = () => server.peers.flatMap((p) => p.requests).filter((r) => r.t === 'acquire' && r.waitMs > 0).length;
    trouble(peer);
    await until(() => asked() === 2, 'another place');
    // What it says may announce its end; what it refuses with does not.
    expect(waiterPeers('k')).toHaveLength(isFinal ? 2 : 1);
    server.script = obliging;
    waiterPeers('k').at(-1)!.say(`ok ${TOKEN} 33\n`);
    await inTime(pending.grant, 'the grant');
  });

  it.each<[string, (peer: Peer) => void, string]>([
    ['AcquireTimeoutError while it is in the queue', () => undefined, 'ACQUIRE_TIMEOUT'],
    ['the last trouble', (peer) => peer.say('error_max_waiters\n'), 'MAX_WAITERS'],
    ['the last trouble', (peer) => peer.say('error_max_locks\n'), 'MAX_LOCKS'],
    ['LockUnavailableError for bare errors', (peer) => peer.say('error\n'), 'UNAVAILABLE'],
  ])('tells at the deadline: %s', async (_, trouble, code) => {
    const clock = new FakeClock();
    await start({}, clock);
    const { pending, peer } = await waitOnServer(request({ deadline: 150 }));
    server.script = (r, p) => {
      if (r.t !== 'acquire') return obliging(r, p);
      if (code !== 'ACQUIRE_TIMEOUT') trouble(p);
      return undefined;
    };
    trouble(peer);
    let outcome: unknown;
    pending.grant.catch((error: unknown) => (outcome = error));
    await until(() => {
      clock.advance(5);
      return outcome;
    }, 'the end');
    expect(clock.now()).toBeLessThan(160);
    expect(outcome).toMatchObject({ code });
  });

  it('ends at once for what time does not heal', async () => {
    await start();
    const { pending, peer } = await waitOnServer();
    peer.say('error_limit_mismatch\n');
    await expect(inTime(pending.grant, 'the end')).rejects.toMatchObject({ code: 'LIMIT_MISMATCH' });
  });

  it('keeps others of this process from trying past it', async () => {
    await start();
    const { pending, peer } = await waitOnServer();
    const asked = systemClock.now();
    const tries = server.peers[0]!.requests.length;
    // A place that has just been asked for may be refused yet.
    await until(() => backend.leftOvers().queues === 1 && systemClock.now() > asked + 30, 'the place to be sure');
    expect(await backend.tryAcquire(request())).toBeNull();
    const second = enqueue(backend, request(), 'queue');
    await inTime(second.placed, 'the place');
    expect(server.peers[0]!.requests).toHaveLength(tries);
    // Another limit is another resource's affair.
    expect(await backend.tryAcquire(request({ kind: 'sem' }))).toBeNull();
    expect(server.peers[0]!.requests).toHaveLength(tries + 1);
    pending.cancel(new Error('x'));
    second.cancel(new Error('x'));
    await Promise.allSettled([pending.grant, second.grant]);
    expect(peer.requests).toHaveLength(1);
    expect(await backend.tryAcquire(request())).toBeNull();
    expect(server.peers[0]!.requests).toHaveLength(tries + 2);
  });
});

describe('a deadline', () => {
  it('that passes while the connection for the wait is being made means "busy"', async () => {
    await start();
    server.script = (r, peer) => {
      if (r.t !== 'acquire') return obliging(r, peer);
      // The next connection is not accepted in time: the process is busy until the deadline has passed.
      const wake = performance.now() + 80;
      while (performance.now() < wake);
      return 'timeout\n';
    };
    const pending = enqueue(backend, request({ deadline: now() + 81 }), 'queue');
    await expect(pending.grant).rejects.toBeInstanceOf(AcquireTimeoutError);
  });

  it('that passes while the process stalls takes nothing from a caller that was served before: the grant lies in the buffers', async () => {
    await start();
    for (let round = 0; round < 3; round++) {
      server.script = busy;
      const key = `k${round}`;
      // Far enough for the place on any machine.
      const deadline = now() + 700;
      const pending = enqueue(backend, request({ key, deadline }), 'queue');
      const peer = await until(() => waiterPeers(key)[0], 'the place');
      await new Promise<void>((resolve) => {
        setTimeout(() => {
          peer.say(`ok ${TOKEN} 10\n`);
          while (now() < deadline + 20);
          resolve();
        }, 0);
      });
      const grant = await inTime(pending.grant, 'the grant');
      server.script = obliging;
      expect(await release(backend, grant)).toBe('released');
    }
  });

  it('that passes without any answer is not "busy"', async () => {
    await start();
    server.script = () => undefined;
    const pending = enqueue(backend, request({ deadline: now() + 60 }), 'queue');
    await expect(pending.grant).rejects.toThrow('no answer in time');
    await expect(pending.placed).rejects.toBeInstanceOf(LockUnavailableError);
    // The grant that comes after all is given back.
    server.peers[0]!.say(`ok ${TOKEN} 33\n`);
    await until(() => server.peers[0]!.requests.at(-1)?.t === 'release', 'the release');
  });
});

describe('release', () => {
  it('is sent over another connection, by the token, if it is not answered', async () => {
    await start({ requestTimeoutMs: 50 });
    const grant = await acquired();
    server.script = (r, peer) => (peer === server.peers[0] ? undefined : obliging(r, peer));
    // The lane is suspect by now, and its replacement is up.
    await expect(backend.renew(grant, 1000)).rejects.toBeInstanceOf(LockUnavailableError);
    await until(() => backend.lanes()[0]!.command === 2 && server.peers.length === 3, 'the replacement');
    expect(await release(backend, grant)).toBe('released');
    expect(speakers('release').at(-1)!.requests).toEqual([{ t: 'release', kind: 'lock', key: 'k', token: TOKEN }]);
  });

  it('succeeds if its connection ends', async () => {
    await start();
    const grant = await acquired();
    server.script = (_, peer) => {
      peer.reset();
      return undefined;
    };
    expect(await release(backend, grant)).toBe('released');
  });

  it('of what an ended connection owned finds it gone', async () => {
    await start();
    const grant = await acquired();
    server.peers[0]!.reset();
    await until(() => links.some((link) => link.state === 'down'), 'the loss');
    expect(await release(backend, grant)).toBe('gone');
    backend.abandon(grant);
  });

  it('with a time to keep: the connection stays until then', async () => {
    await start();
    const { pending, peer } = await waitOnServer();
    server.script = obliging;
    peer.say(`ok ${TOKEN} 10\n`);
    const grant = await pending.grant;
    expect(await release(backend, grant, 900)).toBe('released');
    expect(peer.requests.at(-1)).toMatchObject({ t: 'renew', leaseMs: 1000 });
    expect(backend.lanes()[0]).toMatchObject({ holding: 1, free: 0 });
    await until(() => backend.lanes()[0]!.free === 1, 'the connection to be free');
  });

  it('with a time to keep of what is not held any more', async () => {
    await start();
    const grant = await acquired();
    server.script = (r) => (r.t === 'renew' ? 'error\n' : 'ok\n');
    expect(await release(backend, grant, 900)).toBe('gone');
  });
});

describe('answers that make no sense', () => {
  it.each<[string, string, new (...args: any[]) => Error]>([
    ['acquire', 'error_not_leader 10.0.0.1:1\n', NotLeaderError],
    ['acquire', 'queued\n', ProtocolError],
    ['acquire', 'error\n', ProtocolError],
    ['acquire', 'ok\n', ProtocolError],
    ['acquire', 'ok \n', ProtocolError],
  ])('%s: %j', async (_, answer, type) => {
    await start();
    server.script = () => answer;
    await expect(backend.tryAcquire(request())).rejects.toBeInstanceOf(type);
  });

  it.each([['stats'], ['{'], ['error'], ['33'], ['null'], ['[]'], ['{"locks":[]}']])('stats: %s', async (text) => {
    await start();
    server.script = () => (text === 'error' ? 'error\n' : `ok ${text}\n`);
    await expect(backend.stats()).rejects.toBeInstanceOf(ProtocolError);
  });
});

describe('the rest', () => {
  it('renewals say what is lost and what may come back', async () => {
    await start();
    const grant = await acquired();
    server.script = () => 'error\n';
    await expect(backend.renew(grant, 1000)).rejects.toBeInstanceOf(LockLostError);
    server.script = () => 'error_not_leader\n';
    await expect(backend.renew(grant, 1000)).rejects.toBeInstanceOf(NotLeaderError);
    server.peers[0]!.reset();
    await expect(backend.renew(grant, 1000)).rejects.toBeInstanceOf(LockUnavailableError);
  });

  it('a ping is answered by any life', async () => {
    await start();
    server.script = () => 'error\n';
    await backend.ping();
    server.script = (_, peer) => {
      peer.reset();
      return undefined;
    };
    await expect(backend.ping()).rejects.toBeInstanceOf(LockUnavailableError);
  });

  it('draining is told as such', async () => {
    await start();
    server.script = () => 'error_draining\n';
    await backend.ping().catch(() => undefined);
    expect(links.map((link) => link.state).slice(0, 2)).toEqual(['up', 'draining']);
  });
});
