import { afterEach, describe, expect, it } from '@jest/globals';
import type { AcquireRequest } from '../../../../lib/backends/backend.js';
import { ShuttingDownError } from '../../../../lib/common/errors.js';
import { systemClock } from '../../../../lib/common/system.js';
import type { RemoteOptions } from '../../../../lib/locks/options/options.js';
import { inTime, until } from '../../../support/until.js';
import type { Peer, Script } from './support/fake-server.js';
import { busy, request, Scripted, TOKEN } from './support/scripted.js';
import { enqueue, type Waiting } from '../../../support/lock-backend.js';

let scripted: Scripted;

afterEach(() => scripted.close());

/** Tries are not answered before the test says so, renewals neither. */
const silent: Script = (r, peer) => (r.t === 'renew' || r.t === 'acquire' ? undefined : busy(r, peer));
const silentRenewals: Script = (r, peer) => (r.t === 'renew' ? undefined : busy(r, peer));

const join = (change: Partial<AcquireRequest> = {}): Waiting => {
  const pending = enqueue(scripted.backend, request(change), 'queue');
  pending.grant.catch(() => undefined);
  return pending;
};

const renewing = (peer: Peer) => until(() => peer.requests.at(-1)?.t === 'renew', 'the renewal');

/** A grant for 10 s on its way to a caller who wants 60 s, over a wait lane. */
async function handingOver(options: RemoteOptions = {}): Promise<{ peer: Peer; caller: Waiting }> {
  scripted = await Scripted.start({ waitersPerKey: 1, ...options }, silentRenewals);
  const first = join({ leaseMs: 10_000 });
  const caller = join({ leaseMs: 60_000 });
  const peer = await until(() => scripted.waiting()[0], 'the place');
  first.cancel(new Error('enough'));
  peer.say(`ok ${TOKEN} 10\n`);
  await renewing(peer);
  return { peer, caller };
}

describe('a grant that is renewed before it is handed over', () => {
  it('and is not held any more costs its lane; its caller stays at the head and gets the next one', async () => {
    const { peer, caller } = await handingOver();
    const behind = join();
    peer.say('error\n');
    await until(() => peer.requests.at(-1)?.t === 'ping', 'the question whether that was the end');
    peer.say('ok\n');
    await until(() => peer.ended, 'the end of the lane');
    // It was asked for with the lease of the one behind.
    const next = await until(() => scripted.waiting()[1], 'the next place');
    next.say(`ok ${TOKEN} 10\n`);
    await renewing(next);
    next.say('ok 60\n');
    expect(await inTime(caller.grant, 'the grant')).toMatchObject({ leaseMs: 60_000 });
    const last = await until(() => scripted.waiting()[2], 'the place of the one behind');
    last.say(`ok ${TOKEN} 10\n`);
    await inTime(behind.grant, 'the grant behind');
  });

  it('and gets no answer costs its lane, whose end frees it, and not its caller', async () => {
    const { peer, caller } = await handingOver({ requestTimeoutMs: 60 });
    await until(() => peer.ended, 'the end of the lane');
    const next = await until(() => scripted.waiting()[1], 'the next place');
    next.say(`ok ${TOKEN} 60\n`);
    await inTime(caller.grant, 'the grant');
  });

  it('goes to somebody else when its caller leaves, and is released when there is nobody', async () => {
    const { peer, caller } = await handingOver();
    caller.cancel(new Error('gone'));
    const heir = join({ leaseMs: 60_000 });
    peer.say('ok 60\n');
    await inTime(heir.grant, 'the grant');
    await scripted.close();
    const again = await handingOver();
    again.caller.cancel(new Error('gone'));
    again.peer.say('ok 60\n');
    await until(() => again.peer.requests.at(-1)?.t === 'release', 'the release');
  });

  it('is its caller’s if the renewal is answered right after the deadline: the grant was there in time', async () => {
    scripted = await Scripted.start({ waitersPerKey: 1, placeLeaseS: 1 }, busy);
    let served = 0;
    // The machine may pause in one of the rounds.
    for (let round = 0; round < 3; round++) {
      const key = `k${round}`;
      const deadline = systemClock.now() + 300;
      const caller = join({ key, deadline });
      const peer = await until(() => scripted.waiting(key)[0], 'the place');
      await new Promise<void>((resolve) => {
        setTimeout(() => {
          peer.say(`ok ${TOKEN} 1\n`);
          while (systemClock.now() < deadline + 5);
          resolve();
        }, 0);
      });
      served += await inTime(
        caller.grant.then(
          () => 1,
          () => 0,
        ),
        'the word',
      );
    }
    expect(served).toBeGreaterThan(0);
  });

  it('keeps its caller for no longer than that when there is no answer', async () => {
    const deadline = systemClock.now() + 300;
    scripted = await Scripted.start({ waitersPerKey: 1, placeLeaseS: 1 }, silentRenewals);
    const caller = join({ deadline });
    const peer = await until(() => scripted.waiting()[0], 'the place');
    peer.say(`ok ${TOKEN} 1\n`);
    await renewing(peer);
    await expect(inTime(caller.grant, 'the word')).rejects.toMatchObject({ code: 'ACQUIRE_TIMEOUT' });
    expect(systemClock.now()).toBeGreaterThanOrEqual(deadline + 49);
  });

  it('is given up with its caller when the client closes', async () => {
    const { caller } = await handingOver();
    const closing = scripted.backend.close(20);
    await expect(inTime(caller.grant, 'the word')).rejects.toBeInstanceOf(ShuttingDownError);
    await closing;
  });

  it.each([
    ['is refused', {}],
    ['gets no answer', { requestTimeoutMs: 80 }],
  ])('over a shared lane and %s leaves the lane alone; the caller goes on', async (how, options) => {
    scripted = await Scripted.start(options, silent);
    const first = join({ leaseMs: 10_000 });
    const caller = join({ leaseMs: 60_000 });
    const lane = await until(() => scripted.server.peers.find(({ requests }) => requests.length > 0), 'the try');
    first.cancel(new Error('enough'));
    lane.say(`ok ${TOKEN} 10\n`);
    await renewing(lane);
    if (how === 'is refused') {
      lane.say('error\n');
      await until(() => lane.requests.at(-1)?.t === 'ping', 'the question');
      lane.say('ok\n');
    } else {
      // A release behind it, by token: the renewal may have arrived.
      await until(() => scripted.said('release').length === 1, 'the release');
    }
    const place = await until(() => scripted.waiting()[0], 'a place');
    place.say(`ok ${TOKEN} 60\n`);
    expect(await inTime(caller.grant, 'the grant')).toMatchObject({ leaseMs: 60_000 });
  });
});

describe('an answer that comes twice', () => {
  it('is not taken for the answer to what is asked next', async () => {
    scripted = await Scripted.start({ waitersPerKey: 1 }, busy);
    const first = join({ deadline: systemClock.now() + 900 });
    const peer = await until(() => scripted.waiting()[0], 'the place');
    const second = join();
    // The first makes the place ask again, in the same turn.
    peer.say(`timeout\nok ${TOKEN} 10\n`);
    await until(() => peer.ended, 'the end of the lane');
    const next = await until(() => scripted.waiting()[1], 'another place');
    next.say(`ok ${TOKEN} 10\n`);
    await inTime(first.grant, 'the grant');
    second.cancel(new Error('enough'));
  });
});
