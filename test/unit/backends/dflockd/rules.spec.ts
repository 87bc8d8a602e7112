import { afterEach, describe, expect, it } from '@jest/globals';
import type { Grant } from '../../../../lib/backends/backend.js';
import { LockLostError, ProtocolError, ServerDrainingError } from '../../../../lib/common/errors.js';
import { systemClock } from '../../../../lib/common/system.js';
import type { RemoteOptions } from '../../../../lib/locks/options/options.js';
import { inTime, until } from '../../../support/until.js';
import { obliging, type Script } from './support/fake-server.js';
import { busy, request, Scripted, TOKEN } from './support/scripted.js';
import { enqueue, release } from '../../../support/lock-backend.js';

let scripted: Scripted;

afterEach(() => scripted.close());

const start = async (options: RemoteOptions = {}, script: Script = obliging): Promise<Scripted> =>
  (scripted = await Scripted.start(options, script));

const acquired = async (key = 'k'): Promise<Grant> => (await scripted.backend.tryAcquire(request({ key })))!;

/** A grant that came over a wait lane. */
async function waitedFor(key: string): Promise<Grant> {
  const { server, backend } = scripted;
  server.script = busy;
  const pending = enqueue(backend, request({ key }), 'queue');
  const peer = await until(() => scripted.waiting(key)[0], 'the place');
  peer.say(`ok ${TOKEN} 10\n`);
  const grant = await inTime(pending.grant, 'the grant');
  server.script = obliging;
  return grant;
}

const lossOf = (grant: Grant): { reason?: string } => {
  const loss: { reason?: string } = {};
  grant.owner.onLost((reason) => (loss.reason = reason));
  return loss;
};

describe('rule 1: the connection that brought a lock', () => {
  it('carries all requests about it, although there are other connections', async () => {
    await start({ commandLanes: 2 });
    const waited = await waitedFor('k');
    const others = scripted.server.peers.filter((peer) => peer !== scripted.waiting('k')[0]);
    for (let i = 0; i < 3; i++) await scripted.backend.renew(waited, 1000);
    expect(await release(scripted.backend, waited)).toBe('released');
    expect(scripted.waiting('k')[0]!.requests.map((r) => r.t)).toEqual([
      'acquire',
      ...['renew', 'renew', 'renew', 'release'],
    ]);
    expect(others.flatMap((peer) => peer.requests).some((r) => r.t === 'renew' || r.t === 'release')).toBe(false);
  });
});

describe('rule 5: a lock that is abandoned', () => {
  it('is freed by closing its connection, if that is its own', async () => {
    await start();
    const waited = await waitedFor('k');
    scripted.backend.abandon(waited);
    expect(scripted.backend.lanes()[0]).toMatchObject({ holding: 0, free: 0 });
    await until(() => scripted.waiting('k')[0]!.ended, 'the end of its connection');
  });

  it('is released if others share the connection', async () => {
    await start();
    const [first, second] = [await acquired('a'), await acquired('b')];
    const loss = lossOf(second);
    scripted.backend.abandon(first);
    await until(() => scripted.said('release').length === 1, 'the release');
    expect(scripted.said('release')).toEqual([{ t: 'release', kind: 'lock', key: 'a', token: TOKEN }]);
    expect(loss).toEqual({});
  });
});

describe('rule 7: a bare error on a lane that has locks', () => {
  it('belongs to its request when the ping behind it is answered', async () => {
    await start();
    const [grant, other] = [await acquired('a'), await acquired('b')];
    const losses = [lossOf(grant), lossOf(other)];
    scripted.server.script = (r, peer) => (r.t === 'renew' ? 'error\n' : obliging(r, peer));
    await expect(scripted.backend.renew(grant, 1000)).rejects.toMatchObject({ reason: 'rejected' });
    expect(scripted.server.peers[0]!.requests.at(-1)).toEqual({ t: 'ping' });
    expect(losses).toEqual([{}, {}]);
    expect(scripted.backend.lanes()[0]!.command).toBe(1);
  });

  it('ends the lane if the end of the connection follows, and not before that is known', async () => {
    await start();
    const grant = await acquired();
    const loss = lossOf(grant);
    scripted.server.script = (r) => (r.t === 'renew' ? 'error\n' : undefined);
    let outcome: unknown;
    const renewal = scripted.backend.renew(grant, 1000).catch((error: unknown) => (outcome = error));
    const owner = scripted.server.peers[0]!;
    await until(() => owner.requests.at(-1)?.t === 'ping', 'the ping behind it');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(outcome).toBeUndefined();
    expect(loss).toEqual({});
    owner.socket.end();
    await inTime(renewal, 'the outcome');
    expect(loss).toEqual({ reason: 'disconnected' });
    expect(outcome).not.toBeInstanceOf(LockLostError);
  });

  it('lets no new work on the lane meanwhile, and lets it go on afterwards', async () => {
    await start();
    const grant = await acquired();
    scripted.server.script = (r, peer) =>
      r.t === 'renew' ? 'error\n' : r.t === 'ping' ? undefined : obliging(r, peer);
    const renewal = scripted.backend.renew(grant, 1000).catch(() => undefined);
    const [owner] = scripted.server.peers;
    await until(() => scripted.said('ping').length > 0 || scripted.said('renew').length > 0, 'the doubt');
    // The ping of the round before it is not answered either: the renewal is sent all the same after a while.
    await until(() => owner!.requests.at(-1)?.t === 'ping', 'the ping behind it');
    const next = scripted.backend.tryAcquire(request({ key: 'other' }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(scripted.said('acquire')).toHaveLength(1);
    owner!.say('ok\n');
    expect(await inTime(next, 'the next')).not.toBeNull();
    await renewal;
    expect(scripted.backend.lanes()[0]!.command).toBe(1);
  });

  it('is known to be an answer when another follows: no ping is needed', async () => {
    await start({}, (r, peer) => (r.t === 'acquire' && r.key === 'bad' ? 'error\n' : obliging(r, peer)));
    const [bad, good] = await Promise.allSettled([acquired('bad'), acquired('good')]);
    expect((bad as PromiseRejectedResult).reason).toBeInstanceOf(ProtocolError);
    expect(good).toMatchObject({ status: 'fulfilled' });
    expect(scripted.server.peers[0]!.requests.map((r) => r.t)).toEqual(['acquire', 'acquire']);
  });

  it('to a release means that it was gone, or that the end has released it', async () => {
    await start();
    const [first, second] = [await acquired('a'), await acquired('b')];
    scripted.server.script = (r) => (r.t === 'release' ? 'error\n' : 'ok\n');
    expect(await release(scripted.backend, first)).toBe('gone');
    scripted.server.script = (r, peer) => {
      if (r.t === 'ping') peer.socket.end();
      return r.t === 'release' ? 'error\n' : undefined;
    };
    expect(await release(scripted.backend, second)).toBe('released');
  });
});

describe('rule 9: a server that shuts down', () => {
  const draining: Script = (_, peer) => {
    peer.socket.end('error_draining\n');
    return undefined;
  };

  it('is asked over the control lane before anything is sent on a lane that owns locks', async () => {
    await start({ readTimeoutS: 1.8 });
    const grant = await acquired();
    await scripted.backend.renew(grant, 1000);
    const [owner, control] = scripted.server.peers;
    expect(owner!.requests.map((r) => r.t)).toEqual(['acquire', 'renew']);
    expect(control!.requests.map((r) => r.t)).toEqual(['ping']);
    await until(() => owner!.requests.some((r) => r.t === 'ping'), 'the heartbeat');
    expect(control!.requests.length).toBeGreaterThanOrEqual(2);
  });

  it('keeps its locks: nothing is sent, holders learn of the draining before a loss, and a release closes the lane', async () => {
    await start({ readTimeoutS: 1.5 });
    const [first, second] = [await acquired('a'), await acquired('c')];
    const waited = await waitedFor('b');
    const told: string[] = [];
    scripted.backend.onLink(({ state }) => told.push(state));
    for (const grant of [first, waited]) grant.owner.onLost((reason) => told.push(`lost ${reason}`));
    scripted.server.refuse();
    scripted.server.script = draining;
    await expect(scripted.backend.renew(first, 1000)).rejects.toBeInstanceOf(ServerDrainingError);
    await expect(scripted.backend.renew(waited, 1000)).rejects.toBeInstanceOf(ServerDrainingError);
    const [owner] = scripted.server.peers;
    const waiter = scripted.waiting('b')[0]!;
    const said = owner!.requests.length + waiter.requests.length;
    // More than a heartbeat's time, and well below that for which the lane is sure.
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(owner!.requests.length + waiter.requests.length).toBe(said);
    expect([owner!.ended, waiter.ended]).toEqual([false, false]);
    expect(told.filter((what) => what === 'draining' || what.startsWith('lost'))).toEqual(['draining']);
    expect(await release(scripted.backend, waited)).toBe('released');
    await until(() => waiter.ended, 'the end of the wait lane');
    expect(await release(scripted.backend, first)).toBe('released');
    await new Promise((resolve) => setTimeout(resolve, 10));
    // It owns another one.
    expect(owner!.ended).toBe(false);
    expect(await release(scripted.backend, second)).toBe('released');
    await until(() => owner!.ended, 'the end of the command lane');
  });

  it('costs the locks of the lane that was told, after the draining was told', async () => {
    await start();
    const [first, waited] = [await acquired('a'), await waitedFor('b')];
    const told: string[] = [];
    scripted.backend.onLink(({ state }) => state === 'draining' && told.push(state));
    first.owner.onLost((reason) => told.push(`lost a ${reason}`));
    waited.owner.onLost((reason) => told.push(`lost b ${reason}`));
    scripted.server.refuse();
    scripted.server.script = draining;
    await scripted.backend.tryAcquire(request({ key: 'c' })).catch(() => undefined);
    expect(told).toEqual(['draining', 'lost a draining']);
    expect(scripted.waiting('b')[0]!.ended).toBe(false);
    scripted.waiting('b')[0]!.socket.end();
    await until(() => told.length === 3, 'the end of the other');
    expect(told[2]).toBe('lost b draining');
  });

  it('is up again when a new connection is made', async () => {
    await start({ reconnect: { minDelayMs: 1, maxDelayMs: 5 } });
    scripted.server.script = draining;
    await scripted.backend.tryAcquire(request()).catch(() => undefined);
    scripted.server.script = obliging;
    await until(() => scripted.states.lastIndexOf('up') > scripted.states.indexOf('draining'), 'the link');
    expect(await acquired()).toBeTruthy();
  });

  it('is asked before heartbeats too', async () => {
    await start({ readTimeoutS: 0.6, requestTimeoutMs: 100 });
    const [owner] = scripted.server.peers;
    scripted.server.script = (r, peer) => (peer === owner ? obliging(r, peer) : undefined);
    const began = systemClock.now();
    await acquired();
    await until(() => owner!.requests.some((r) => r.t === 'ping'), 'the heartbeat');
    // A third of the read timeout, and the patience for an answer that does not come.
    expect(systemClock.now() - began).toBeGreaterThanOrEqual(299);
  });

  it('does not keep owners from speaking when it cannot be asked', async () => {
    await start({ requestTimeoutMs: 60 });
    const grant = await acquired();
    const control = scripted.server.peers[1]!;
    scripted.server.script = (r, peer) => (peer === control ? undefined : obliging(r, peer));
    const began = systemClock.now();
    await inTime(scripted.backend.renew(grant, 1000), 'the renewal');
    expect(systemClock.now() - began).toBeGreaterThanOrEqual(59);
  });
});

describe('rule 10: a server that does not free what a closed connection owned', () => {
  it('is said so by the capabilities', async () => {
    await start({ autoRelease: false });
    expect(scripted.backend.capabilities).toMatchObject({ ownership: 'lease', keepAfterRelease: true });
    const grant = await acquired();
    expect(grant.owner.provenUntil()).toBe(Infinity);
  });

  it('keeps its locks when their connection dies; renewals and releases go elsewhere', async () => {
    await start({ autoRelease: false, reconnect: { minDelayMs: 1, maxDelayMs: 5 } });
    const grant = await acquired();
    const loss = lossOf(grant);
    scripted.server.peers[0]!.reset();
    await until(() => scripted.states.includes('down'), 'the end');
    expect(await scripted.backend.renew(grant, 7000)).toMatchObject({ leaseMs: 7000 });
    expect(await release(scripted.backend, grant)).toBe('released');
    expect(await release(scripted.backend, grant)).toBe('released');
    expect(loss).toEqual({});
  });

  it('drains a wait that was given up instead of closing its connection', async () => {
    await start({ autoRelease: false }, busy);
    const pending = enqueue(scripted.backend, request(), 'queue');
    const peer = await until(() => scripted.waiting()[0], 'the place');
    pending.cancel('enough');
    await expect(pending.grant).rejects.toBe('enough');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(peer.ended).toBe(false);
    peer.say(`ok ${TOKEN} 10\n`);
    await until(() => peer.requests.at(-1)?.t === 'release', 'the release');
    await until(() => scripted.backend.lanes()[0]!.free === 1, 'the lane to be free');
  });

  it('is asked twice for a release that was not answered', async () => {
    await start({ autoRelease: false, commandLanes: 2, requestTimeoutMs: 40 });
    const grant = await acquired();
    let asked = 0;
    scripted.server.script = (r, peer) =>
      r.t !== 'release' ? obliging(r, peer) : asked++ === 0 ? undefined : 'error\n';
    expect(await inTime(release(scripted.backend, grant), 'the release')).toBe('released');
    expect(asked).toBe(2);
  });
});

describe('fences', () => {
  const fenced = (fence: number): string => `ok ${fence.toString(16).padStart(16, '0')}0123456789abcdef 33\n`;

  it('come from tokens where that is asked for', async () => {
    let fence = 7;
    await start({ fencing: 'token' }, (r, peer) => (r.t === 'acquire' ? fenced(fence++) : obliging(r, peer)));
    expect(scripted.backend.capabilities.fence).toBe('per-key');
    const first = await acquired();
    expect(first.fence).toBe(7n);
    await release(scripted.backend, first);
    expect((await acquired()).fence).toBe(8n);
    expect(scripted.states).not.toContain('degraded');
  });

  it('that do not rise are reported once and not shown any more', async () => {
    await start({ fencing: 'token' }, (r, peer) => (r.t === 'acquire' ? fenced(5) : obliging(r, peer)));
    const first = await acquired();
    await release(scripted.backend, first);
    const second = await acquired();
    expect([first.fence, second.fence]).toEqual([5n, undefined]);
    expect((await acquired('other')).fence).toBeUndefined();
    const degraded = scripted.links.filter(({ state }) => state === 'degraded');
    expect(degraded).toHaveLength(1);
    expect(degraded[0]!.detail).toMatch(/fence 5 followed 5.*remote\.fencing/);
  });

  it('are not shown unless asked for', async () => {
    await start();
    expect((await acquired()).fence).toBeUndefined();
    expect(scripted.backend.capabilities.fence).toBe('none');
  });
});

describe('isLocked', () => {
  it('reads what the server knows over the control lane', async () => {
    const stats = {
      locks: [
        { key: 'held', owner_conn_id: 3 },
        { key: 'waited', owner_conn_id: 0 },
      ],
      semaphores: [
        { key: 'pool', holders: 1 },
        { key: 'empty', holders: 0 },
      ],
      idle_locks: [],
      idle_semaphores: [],
    };
    await start({}, (r, peer) => (r.t === 'stats' ? `ok ${JSON.stringify(stats)}\n` : obliging(r, peer)));
    const asked = (key: string, kind: 'lock' | 'sem') => scripted.backend.isLocked(key, kind);
    expect(await Promise.all([asked('held', 'lock'), asked('waited', 'lock'), asked('free', 'lock')])).toEqual([
      true,
      false,
      false,
    ]);
    expect(
      await Promise.all([asked('pool', 'sem'), asked('empty', 'sem'), asked('held', 'sem'), asked('pool', 'lock')]),
    ).toEqual([true, false, true, false]);
    expect(scripted.server.peers[0]!.requests).toEqual([]);
    // One request for each group of callers.
    const sent = scripted.server.peers.flatMap(({ requests }) => requests).filter(({ t }) => t === 'stats');
    expect(sent).toHaveLength(2);
  });
});
