import { afterEach, describe, expect, it } from '@jest/globals';
import type { Grant } from '../../../../lib/backends/backend.js';
import {
  LockLostError,
  LockUnavailableError,
  NotLeaderError,
  ShuttingDownError,
} from '../../../../lib/common/errors.js';
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

/** Got by waiting: on a lane of its own. */
async function waitedFor(): Promise<Grant> {
  scripted.server.script = busy;
  const { grant } = enqueue(scripted.backend, request(), 'queue');
  (await until(() => scripted.waiting()[0], 'the place')).say(`ok ${TOKEN} 10\n`);
  return inTime(grant, 'the grant');
}

const unanswered = (t: string): void => {
  scripted.server.script = (r, peer) => (r.t === t ? undefined : obliging(r, peer));
};

describe('a release', () => {
  it.each(['a connection', 'a lease'])('refused for another reason is told (held by %s)', async (owner) => {
    await start({ autoRelease: owner === 'a connection' });
    const grant = await acquired();
    scripted.server.script = () => 'error_not_leader host:1\n';
    await expect(release(scripted.backend, grant)).rejects.toBeInstanceOf(NotLeaderError);
  });

  it('without an answer on a lane of its own is the end of that lane, which releases', async () => {
    await start({ requestTimeoutMs: 50 });
    const grant = await waitedFor();
    unanswered('release');
    expect(await inTime(release(scripted.backend, grant), 'the release')).toBe('released');
    await until(() => scripted.waiting()[0]!.ended, 'the end of the lane');
  });

  it('without an answer, and without another lane, is told', async () => {
    await start({ requestTimeoutMs: 50, commandLanes: 1 });
    const [grant, other] = [await acquired('a'), await acquired('b')];
    unanswered('release');
    scripted.server.refuse();
    await expect(inTime(release(scripted.backend, grant), 'the outcome')).rejects.toBeInstanceOf(LockUnavailableError);
    scripted.backend.abandon(other);
  });
});

describe('a lock that lives as long as its lease', () => {
  const lease = { autoRelease: false, connectTimeoutMs: 100, reconnect: { minDelayMs: 5, maxDelayMs: 5 } };

  it('can be neither renewed nor released while there is no server, and both say so', async () => {
    await start(lease);
    const grant = await acquired();
    scripted.server.refuse();
    scripted.server.peers[0]!.reset();
    await until(() => scripted.states.includes('down'), 'the loss');
    await expect(inTime(scripted.backend.renew(grant, 1000), 'a')).rejects.toBeInstanceOf(LockUnavailableError);
    await expect(inTime(release(scripted.backend, grant), 'b')).rejects.toBeInstanceOf(LockUnavailableError);
    // Nothing to wait for, nothing to catch.
    scripted.backend.abandon(grant);
  });

  it('is not renewed once its release has begun', async () => {
    await start(lease);
    const grant = await acquired();
    const released = release(scripted.backend, grant);
    await expect(scripted.backend.renew(grant, 1000)).rejects.toBeInstanceOf(LockLostError);
    expect(await released).toBe('released');
  });

  it('survives a server that shuts down: nothing falls silent', async () => {
    await start(lease);
    const grant = await acquired();
    scripted.server.script = (_, peer) => void peer.socket.end('error_draining\n');
    await scripted.backend.ping().catch(() => undefined);
    await until(() => scripted.states.includes('draining'), 'the word');
    scripted.server.script = obliging;
    await until(() => scripted.states.at(-1) === 'up', 'another connection');
    expect(await scripted.backend.renew(grant, 7000)).toMatchObject({ leaseMs: 7000 });
  });
});

describe('what is kept after its release', () => {
  it('is freed at once if its server cannot be asked to keep it', async () => {
    await start({ requestTimeoutMs: 60 });
    const grant = await acquired();
    unanswered('renew');
    await expect(inTime(release(scripted.backend, grant, 900), 'the outcome')).rejects.toBeInstanceOf(
      LockUnavailableError,
    );
    await until(() => scripted.said('release').length === 1, 'the release');
  });
});

describe('a lock that is released again', () => {
  it('because its kept time is over and nobody answers, costs no other lock of its connection', async () => {
    await start({ requestTimeoutMs: 50, commandLanes: 1 });
    const [kept, other] = [await acquired('a'), await acquired('b')];
    expect(await release(scripted.backend, kept, 20)).toBe('released');
    unanswered('release');
    scripted.server.refuse();
    await until(() => scripted.said('release').length === 2, 'the second release');
    scripted.server.peers[0]!.say('ok\nok\n');
    expect(await inTime(scripted.backend.renew(other, 7000), 'the renewal')).toMatchObject({ leaseMs: 7000 });
  });
});

describe('a connection that has ended', () => {
  it('holds nothing: whoever comes next tries, although its grant was not given back', async () => {
    await start({ reconnect: { minDelayMs: 1, maxDelayMs: 2 } });
    await acquired();
    scripted.server.peers[0]!.reset();
    await until(() => scripted.states.includes('down'), 'the loss');
    expect(await inTime(acquired(), 'the lock again')).toBeTruthy();
    expect(scripted.said('acquire')).toHaveLength(2);
  });
});

describe('after the end', () => {
  it.each([true, false])('nobody gets a place, not even for a key held here (autoRelease %p)', async (autoRelease) => {
    await start({ autoRelease });
    await acquired('held');
    await scripted.backend.close(20);
    for (const [key, mode] of [
      ['held', 'queue'],
      ['free', 'ticket'],
    ] as const) {
      const { grant } = enqueue(scripted.backend, request({ key }), mode);
      await expect(inTime(grant, 'the refusal')).rejects.toBeInstanceOf(ShuttingDownError);
    }
  });
});

describe('a ticket', () => {
  it('that was given up twice, before anything was answered, is given up', async () => {
    await start({}, () => undefined);
    const pending = enqueue(scripted.backend, request({ deadline: systemClock.now() + 5000 }), 'ticket');
    pending.grant.catch(() => undefined);
    const peer = await until(() => scripted.server.peers.find(({ requests }) => requests.length === 2), 'the place');
    pending.cancel(new Error('enough'));
    pending.cancel(new Error('again'));
    await expect(pending.grant).rejects.toThrow('enough');
    await until(() => peer.ended, 'the end of its lane');
  });

  it('whose place an older server keeps is released when it is granted later', async () => {
    await start({ autoRelease: false }, (r) => (r.t === 'enqueue' ? 'queued\n' : undefined));
    const pending = enqueue(scripted.backend, request(), 'ticket');
    pending.grant.catch(() => undefined);
    await inTime(pending.placed, 'the place');
    pending.cancel(new Error('enough'));
    const peer = scripted.server.peers.find(({ requests }) => requests.length === 2)!;
    peer.say(`ok ${TOKEN} 10\n`);
    await until(() => peer.requests.at(-1)?.t === 'release', 'the release');
  });
});

describe('a sharding strategy', () => {
  it.each<[string, () => number, string]>([
    ['returns no index', () => 7, 'option remote.shardingStrategy: expected an index of 0 to 0, got 7'],
    [
      'throws what is no error',
      () => {
        const nonsense: unknown = 'nonsense';
        throw nonsense;
      },
      'option remote.shardingStrategy: threw nonsense',
    ],
  ])('that %s fails the try', async (_, shardingStrategy, text) => {
    await start({ shardingStrategy });
    await expect(scripted.backend.tryAcquire(request())).rejects.toThrow(text);
  });
});
