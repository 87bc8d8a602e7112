import { afterEach, describe, expect, it } from '@jest/globals';

import { RemoteBackend } from '../../../../lib/backends/dflockd/remote.js';
import { LockUnavailableError } from '../../../../lib/common/errors.js';
import { systemClock, systemEntropy } from '../../../../lib/common/system.js';
import type { RemoteOptions } from '../../../../lib/locks/options/options.js';
import { resolveRemote } from '../../../../lib/backends/dflockd/options.js';
import { inTime, until } from '../../../support/until.js';
import { FakeServer, type Script } from './support/fake-server.js';
import { busy, request, TOKEN } from './support/scripted.js';
import { enqueue, type Waiting } from '../../../support/lock-backend.js';

let server: FakeServer;
let backend: RemoteBackend;

afterEach(async () => {
  await backend.close(20);
  await server.close();
});

/** A backend that has not been started: whoever comes waits for the first connection. */
async function unstarted(script: Script, options: RemoteOptions = {}): Promise<void> {
  server = await FakeServer.start(script);
  backend = new RemoteBackend(resolveRemote([server.endpoint.label], options), systemClock, systemEntropy);
}

const join = (change = {}): Waiting => {
  const pending = enqueue(backend, request(change), 'queue');
  pending.grant.catch(() => undefined);
  return pending;
};

const tries = () => server.peers.flatMap((peer) => peer.requests).filter((r) => r.t === 'acquire' && r.waitMs === 0);
const places = () => server.peers.filter((peer) => peer.requests.some((r) => r.t === 'acquire' && r.waitMs > 0));

describe('acquires that wait for the first connection', () => {
  it('are one key queue: only the first one tries, so that none can be granted what was refused to one before it', async () => {
    // As if the holder had released between two tries.
    await unstarted((r, peer) => (r.t === 'acquire' && r.waitMs === 0 ? undefined : busy(r, peer)));
    const order: number[] = [];
    const all = [1, 2, 3].map((i) => {
      const pending = join();
      void pending.grant.then(() => order.push(i));
      return pending;
    });
    const peer = await until(() => server.peers.find(({ requests }) => requests.length > 0), 'a try');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(tries()).toHaveLength(1);
    peer.say('timeout\n');
    for (let served = 1; served <= 3; served++) {
      const place = await until(() => places()[served - 1], 'a place');
      place.say(`ok ${TOKEN} 10\n`);
      await until(() => order.length === served, 'a grant');
    }
    expect(order).toEqual([1, 2, 3]);
    await Promise.all(all.map(({ grant }) => inTime(grant, 'the grants')));
  });

  it('for slots of a semaphore all try, in their order on one connection', async () => {
    await unstarted((r, peer) => (r.t === 'acquire' ? `ok ${TOKEN} 10\n` : busy(r, peer)), { commandLanes: 3 });
    const all = [1, 2, 3].map(() => join({ kind: 'sem', limit: 3 }));
    await Promise.all(all.map(({ grant }) => inTime(grant, 'the grants')));
    expect(tries()).toHaveLength(3);
    expect(server.peers.filter((peer) => peer.requests.some((r) => r.t === 'acquire'))).toHaveLength(1);
  });

  it('and are given up meanwhile send nothing', async () => {
    await unstarted(busy);
    const pending = join();
    pending.cancel(new Error('enough'));
    await expect(pending.grant).rejects.toThrow('enough');
    await backend.start();
    await backend.ping();
    expect(tries()).toHaveLength(0);
  });

  it('find the key queue of those who came first when they are connected', async () => {
    await unstarted(busy);
    const first = join();
    const second = join();
    await until(() => places().length === 2, 'the places');
    expect(tries()).toHaveLength(1);
    for (const pending of [first, second]) pending.cancel(new Error('enough'));
  });
});

describe('a key whose only key queue was given up while its first try was under way', () => {
  it('gives what that try brings to whoever comes next', async () => {
    await unstarted((r, peer) => (r.t === 'acquire' && r.waitMs === 0 ? undefined : busy(r, peer)));
    await backend.start();
    const given = [join(), join()];
    await until(() => tries().length === 1, 'the try');
    for (const pending of given) pending.cancel(new Error('enough'));
    const next = join();
    server.peers.find(({ requests }) => requests.some((r) => r.t === 'acquire'))!.say(`ok ${TOKEN} 10\n`);
    expect((await inTime(next.grant, 'the grant')).token).toBe(TOKEN);
    expect(tries()).toHaveLength(1);
  });

  it('releases what that try brings if no caller comes', async () => {
    await unstarted((r, peer) => (r.t === 'acquire' && r.waitMs === 0 ? undefined : busy(r, peer)));
    await backend.start();
    const given = [join(), join()];
    await until(() => tries().length === 1, 'the try');
    for (const pending of given) pending.cancel(new Error('enough'));
    const peer = server.peers.find(({ requests }) => requests.some((r) => r.t === 'acquire'))!;
    peer.say(`ok ${TOKEN} 10\n`);
    await until(() => peer.requests.at(-1)?.t === 'release', 'the release');
  });

  it('is tried again by whoever comes when that try has been given back', async () => {
    await unstarted((r, peer) => (r.t === 'acquire' && r.waitMs === 0 ? undefined : busy(r, peer)));
    await backend.start();
    const given = [join(), join()];
    await until(() => tries().length === 1, 'the try');
    for (const pending of given) pending.cancel(new Error('enough'));
    const peer = server.peers.find(({ requests }) => requests.some((r) => r.t === 'acquire'))!;
    peer.say(`ok ${TOKEN} 10\n`);
    await until(() => peer.requests.at(-1)?.t === 'release', 'the release');
    const next = join();
    await until(() => tries().length === 2, 'another try');
    peer.say(`ok ${TOKEN} 10\n`);
    expect((await inTime(next.grant, 'the grant')).token).toBe(TOKEN);
  });
});

describe('a server that cannot be reached', () => {
  it.each(['ping', 'stats', 'ticket', 'try'])('is said so to a %s', async (what) => {
    await unstarted(busy, { connectTimeoutMs: 200 });
    server.refuse();
    const asked: Promise<unknown> = {
      ping: () => backend.ping(),
      stats: () => backend.stats(),
      ticket: () => enqueue(backend, request(), 'ticket').grant,
      try: () => backend.tryAcquire(request()),
    }[what]!();
    await expect(inTime(asked, 'the outcome')).rejects.toBeInstanceOf(LockUnavailableError);
  });
});
