import { afterEach, describe, expect, it } from '@jest/globals';
import type { AcquireRequest } from '../../../../lib/backends/backend.js';
import { systemClock } from '../../../../lib/common/system.js';
import type { RemoteOptions } from '../../../../lib/locks/options/options.js';
import { inTime, until } from '../../../support/until.js';
import { obliging, type Peer } from './support/fake-server.js';
import { busy, request, Scripted, TOKEN } from './support/scripted.js';
import { enqueue, release, type Waiting } from '../../../support/lock-backend.js';

let scripted: Scripted;

afterEach(() => scripted.close());

const start = async (options: RemoteOptions = {}, script = busy): Promise<Scripted> =>
  (scripted = await Scripted.start(options, script));

const ticket = (change: Partial<AcquireRequest> = {}): Waiting => enqueue(scripted.backend, request(change), 'ticket');

const ticketPeer = (): Promise<Peer> =>
  until(() => scripted.server.peers.find((peer) => peer.requests.some((r) => r.t === 'wait')), 'the ticket');

describe('a ticket', () => {
  it('takes its place and waits in one write, for as long as the wire knows', async () => {
    await start();
    const pending = ticket({ deadline: Infinity });
    expect(await inTime(pending.placed, 'the place')).toBe('queued');
    const peer = await ticketPeer();
    expect(peer.requests).toMatchObject([
      { t: 'enqueue', leaseMs: 10_000 },
      { t: 'wait', waitMs: 2_147_483_647_000 },
    ]);
    expect(peer.chunks).toHaveLength(1);
    peer.say(`ok ${TOKEN} 10\n`);
    const grant = await inTime(pending.grant, 'the grant');
    expect(scripted.backend.lanes()[0]).toMatchObject({ holding: 1 });
    scripted.server.script = obliging;
    expect(await release(scripted.backend, grant)).toBe('released');
  });

  it('may have the lock at once', async () => {
    await start({}, (r, peer) =>
      r.t === 'enqueue' ? `acquired ${TOKEN} 10\n` : r.t === 'wait' ? `ok ${TOKEN} 10\n` : busy(r, peer),
    );
    const pending = ticket();
    expect(await inTime(pending.placed, 'the place')).toBe('acquired');
    expect((await pending.grant).token).toBe(TOKEN);
  });

  it('stands outside the key queue of its key', async () => {
    await start();
    const waiting = enqueue(scripted.backend, request(), 'queue');
    waiting.grant.catch(() => undefined);
    await until(() => scripted.waiting().length === 1, 'the place of the key queue');
    const pending = ticket();
    (await ticketPeer()).say(`ok ${TOKEN} 10\n`);
    await inTime(pending.grant, 'the grant');
    waiting.cancel('x');
  });

  it('is refused at once when there is no lane for it', async () => {
    await start({ maxWaitLanes: 1 });
    const first = ticket();
    await ticketPeer();
    const second = ticket();
    await expect(second.placed).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' });
    await expect(second.grant).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' });
    first.cancel('x');
  });

  it('ends with its cancellation, which closes the connection', async () => {
    await start();
    const pending = ticket();
    const peer = await ticketPeer();
    pending.cancel('enough');
    await expect(pending.grant).rejects.toBe('enough');
    await until(() => peer.ended, 'the end');
  });

  it('that is cancelled before its lane is there takes no place', async () => {
    await start();
    const pending = ticket();
    pending.cancel('enough');
    await expect(pending.placed).rejects.toBe('enough');
    await new Promise((resolve) => setTimeout(resolve, 15));
    expect(scripted.said('enqueue')).toEqual([]);
  });

  it('is drained where a closed connection frees nothing', async () => {
    await start({ autoRelease: false });
    const pending = ticket();
    const peer = await ticketPeer();
    pending.cancel('enough');
    peer.say(`ok ${TOKEN} 10\n`);
    await until(() => peer.requests.at(-1)?.t === 'release', 'the release');
  });

  it('ends at its deadline, by our clock or by that of the server', async () => {
    await start();
    const began = systemClock.now();
    await expect(inTime(ticket({ deadline: began + 60 }).grant, 'the end')).rejects.toMatchObject({
      code: 'ACQUIRE_TIMEOUT',
    });
    expect(systemClock.now() - began).toBeGreaterThanOrEqual(59);
    scripted.server.script = (r, peer) => (r.t === 'wait' ? 'timeout\n' : busy(r, peer));
    await expect(inTime(ticket().grant, 'the end')).rejects.toMatchObject({ code: 'ACQUIRE_TIMEOUT' });
  });

  it.each([
    ['enqueue', 'error_max_waiters\n', 'MAX_WAITERS'],
    ['enqueue', 'error\n', 'UNAVAILABLE'],
    ['wait', 'error_lease_expired\n', 'LEASE_EXPIRED'],
    ['wait', 'error_not_enqueued\n', 'NOT_ENQUEUED'],
    ['wait', 'error\n', 'UNAVAILABLE'],
  ])('tells why it is refused: %s %j', async (to, answer, code) => {
    await start({}, (r, peer) => (r.t === to ? answer : r.t === 'wait' ? 'error_not_enqueued\n' : busy(r, peer)));
    await expect(inTime(ticket().grant, 'the end')).rejects.toMatchObject({ code });
  });

  it('whose connection is lost is unavailable: another place would not be this one', async () => {
    await start();
    const pending = ticket();
    (await ticketPeer()).reset();
    await expect(inTime(pending.grant, 'the end')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(scripted.said('enqueue')).toHaveLength(1);
  });

  it('that was granted late is renewed before it is handed over', async () => {
    await start();
    const [good, bad] = [ticket({ leaseMs: 1000 }), ticket({ leaseMs: 1000, key: 'other' })];
    await until(() => scripted.said('wait').length === 2, 'both');
    await new Promise((resolve) => setTimeout(resolve, 600));
    const peers = scripted.server.peers.filter((peer) => peer.requests.some((r) => r.t === 'wait'));
    scripted.server.script = (r, peer) => (r.t === 'renew' && r.key === 'other' ? 'error\n' : obliging(r, peer));
    for (const peer of peers) peer.say(`ok ${TOKEN} 1\n`);
    await inTime(good.grant, 'the grant');
    expect(scripted.said('renew')).toHaveLength(2);
    await expect(inTime(bad.grant, 'the end')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
