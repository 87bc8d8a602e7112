import { afterEach, describe, expect, it } from '@jest/globals';
import type { AcquireRequest, Grant } from '../../../../lib/backends/backend.js';
import { RemoteBackend } from '../../../../lib/backends/dflockd/remote.js';
import { systemClock, systemEntropy } from '../../../../lib/common/system.js';
import { DflockdServer } from '../../../../lib/daemon/server.js';
import type { RemoteOptions } from '../../../../lib/locks/options/options.js';
import { resolveRemote } from '../../../../lib/backends/dflockd/options.js';
import { stopwatch } from '../../../support/stopwatch.js';
import { inTime, until } from '../../../support/until.js';
import { busy, request, Scripted, TOKEN } from './support/scripted.js';
import { enqueue, release, type Waiting } from '../../../support/lock-backend.js';

let scripted: Scripted;
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function script(options: RemoteOptions = {}): Promise<Scripted> {
  scripted = await Scripted.start(options, busy);
  closing.push(() => scripted.close());
  return scripted;
}

/** Backends of as many processes on one daemon. */
async function processes(count: number, options: RemoteOptions = {}): Promise<RemoteBackend[]> {
  const server = new DflockdServer({ port: 0, shutdownTimeout: 1, maxLocks: 20_000 });
  const { port } = await server.listen();
  closing.push(() => server.close());
  const config = resolveRemote([`127.0.0.1:${port}`], options);
  const backends = Array.from({ length: count }, () => new RemoteBackend(config, systemClock, systemEntropy));
  for (const backend of backends) {
    await backend.start();
    closing.push(() => backend.close(20));
  }
  return backends;
}

const join = (change: Partial<AcquireRequest> = {}, backend = scripted.backend): Waiting => {
  const pending = enqueue(backend, request(change), 'queue');
  pending.grant.catch(() => undefined);
  return pending;
};

const placesAsked = (key = 'k') =>
  scripted.said('acquire').filter((r) => r.t === 'acquire' && r.waitMs > 0 && r.key === key);

describe('a key queue', () => {
  it('has as many places as callers, up to waitersPerKey', async () => {
    await script({ waitersPerKey: 3 });
    const callers = [join(), join()];
    await until(() => scripted.waiting().length === 2, 'two places');
    for (let i = 0; i < 6; i++) callers.push(join());
    await Promise.all(callers.map((caller) => inTime(caller.placed, 'the word')));
    await until(() => scripted.waiting().length === 3, 'three places');
    expect(scripted.backend.lanes()[0]).toMatchObject({ blocked: 3, holding: 0, polling: 0 });
  });

  it('gives a grant to the head, whichever lane brought it', async () => {
    await script();
    const [first, second] = [join(), join()];
    await until(() => scripted.waiting().length === 2, 'the places');
    scripted.waiting()[1]!.say(`ok ${TOKEN} 10\n`);
    await inTime(first.grant, 'the grant');
    let isServed = false;
    void second.grant.then(() => (isServed = true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isServed).toBe(false);
    scripted.waiting()[0]!.say(`ok ${TOKEN} 10\n`);
    await inTime(second.grant, 'the second grant');
  });

  it('keeps its place when the head goes; the last place goes, and only when there are too many', async () => {
    await script({ waitersPerKey: 3 });
    const callers = [join(), join(), join()];
    await until(() => scripted.waiting().length === 3, 'the places');
    const [first, second, third] = scripted.waiting();
    callers[0]!.cancel('enough');
    await expect(callers[0]!.grant).rejects.toBe('enough');
    await until(() => third!.ended, 'the end of the last place');
    expect([first!.ended, second!.ended]).toEqual([false, false]);
    first!.say(`ok ${TOKEN} 10\n`);
    await inTime(callers[1]!.grant, 'the grant on the first place');
  });

  it('does not close a lane while more callers than places are left', async () => {
    await script({ waitersPerKey: 1 });
    const callers = [join(), join(), join()];
    await until(() => scripted.waiting().length === 1, 'the place');
    callers[0]!.cancel('a');
    callers[2]!.cancel('c');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(scripted.waiting()[0]!.ended).toBe(false);
    scripted.waiting()[0]!.say(`ok ${TOKEN} 10\n`);
    await inTime(callers[1]!.grant, 'the grant');
    expect(placesAsked()).toHaveLength(1);
  });

  it('removes callers at their exact time, and asks for the time of the most patient, rounded up', async () => {
    await script({ waitersPerKey: 1 });
    const patient = join({ deadline: systemClock.now() + 3900 });
    await until(() => scripted.waiting().length === 1, 'the place');
    expect(placesAsked()[0]).toMatchObject({ waitMs: 4000 });
    const took = stopwatch();
    const began = systemClock.now();
    const hasty = join({ deadline: began + 120 });
    await expect(inTime(hasty.grant, 'the end')).rejects.toMatchObject({ code: 'ACQUIRE_TIMEOUT' });
    expect(took()).toBeLessThan(300);
    expect(systemClock.now() - began).toBeGreaterThanOrEqual(119);
    expect(scripted.waiting()[0]!.ended).toBe(false);
    patient.cancel('x');
  });

  it('asks again on the same lane in the same turn when a place times out and callers remain', async () => {
    await script({ waitersPerKey: 1 });
    const first = join({ deadline: systemClock.now() + 900 });
    await until(() => scripted.waiting().length === 1, 'the place');
    const second = join({ deadline: systemClock.now() + 2900 });
    scripted.waiting()[0]!.say('timeout\n');
    await until(() => placesAsked().length === 2, 'the second request');
    expect(scripted.waiting()).toHaveLength(1);
    expect(placesAsked()[1]).toMatchObject({ waitMs: 3000 });
    first.cancel('x');
    scripted.waiting()[0]!.say(`ok ${TOKEN} 10\n`);
    await inTime(second.grant, 'the grant');
  });

  it('releases a grant with nobody left to take it', async () => {
    await script({ autoRelease: false });
    const only = join();
    await until(() => scripted.waiting().length === 1, 'the place');
    only.cancel('enough');
    scripted.waiting()[0]!.say(`ok ${TOKEN} 10\n`);
    await until(() => scripted.said('release').length === 1, 'the release');
  });

  it('asks for the lease of the head, and renews to that of another who gets the grant', async () => {
    await script({ waitersPerKey: 1 });
    const first = join({ leaseMs: 10_000 });
    const second = join({ leaseMs: 60_000 });
    await until(() => scripted.waiting().length === 1, 'the place');
    expect(placesAsked()[0]).toMatchObject({ leaseMs: 10_000 });
    first.cancel('x');
    const peer = scripted.waiting()[0]!;
    let granted = false;
    void second.grant.then(() => (granted = true));
    scripted.server.script = (r, p) => (r.t === 'renew' ? undefined : busy(r, p));
    peer.say(`ok ${TOKEN} 10\n`);
    await until(() => peer.requests.at(-1)?.t === 'renew', 'the renewal');
    expect(peer.requests.at(-1)).toMatchObject({ leaseMs: 60_000 });
    await new Promise((resolve) => setTimeout(resolve, 15));
    expect(granted).toBe(false);
    peer.say('ok 60\n');
    expect(await inTime(second.grant, 'the grant')).toMatchObject({ leaseMs: 60_000 });
  });

  it('is joined without a try by whoever comes behind somebody who is trying, or holds every slot here', async () => {
    await script();
    scripted.server.script = (r, p) => (r.t === 'acquire' && r.waitMs === 0 ? undefined : busy(r, p));
    const first = join();
    const second = join();
    await until(() => scripted.said('acquire').length === 1, 'the try');
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(scripted.said('acquire')).toHaveLength(1);
    scripted.server.peers[0]!.say(`ok ${TOKEN} 10\n`);
    const held = await inTime(first.grant, 'the grant');
    await until(() => scripted.waiting().length === 1, 'the place of the second');
    second.cancel('x');
    expect(await scripted.backend.tryAcquire(request())).toBeNull();
    const third = join();
    await until(() => placesAsked().length === 2, 'the place of the third');
    expect(scripted.said('acquire').filter((r) => r.t === 'acquire' && r.waitMs === 0)).toHaveLength(1);
    third.cancel('x');
    await release(scripted.backend, held);
    scripted.server.script = busy;
    expect(await scripted.backend.tryAcquire(request())).toBeNull();
    expect(scripted.said('acquire').filter((r) => r.t === 'acquire' && r.waitMs === 0)).toHaveLength(2);
  });
});

describe('tries for a semaphore that are under way together', () => {
  const semaphore = (): Waiting => join({ kind: 'sem', limit: 2 });
  const tries = () => scripted.said('acquire').filter((r) => r.t === 'acquire' && r.waitMs === 0);

  it('share a lane, and what a later one brings goes to whoever was refused before', async () => {
    await script({ commandLanes: 2 });
    scripted.server.script = (r, p) => (r.t === 'acquire' && r.waitMs === 0 ? undefined : busy(r, p));
    const first = semaphore();
    const second = semaphore();
    await until(() => tries().length === 2, 'the tries');
    const trying = scripted.server.peers.filter((peer) => peer.requests.some((r) => r.t === 'acquire'));
    expect(trying).toHaveLength(1);
    trying[0]!.say(`timeout\nok ${TOKEN} 10\n`);
    await inTime(first.grant, 'the grant');
    // The second has a place in the key queue now.
    await until(() => scripted.waiting().length > 0, 'a place');
    scripted.waiting()[0]!.say(`ok ${TOKEN} 10\n`);
    await inTime(second.grant, 'the second grant');
  });

  it('go on without those that were given up', async () => {
    await script({ commandLanes: 2 });
    scripted.server.script = (r, p) => (r.t === 'acquire' && r.waitMs === 0 ? undefined : busy(r, p));
    const first = semaphore();
    const second = semaphore();
    await until(() => tries().length === 2, 'the tries');
    first.cancel(new Error('enough'));
    scripted.server.peers
      .find((peer) => peer.requests.some((r) => r.t === 'acquire'))!
      .say(`timeout\nok ${TOKEN} 10\n`);
    await inTime(second.grant, 'the grant');
  });
});

describe('without a lane', () => {
  it('a key queue polls, says so, and ends in PoolExhaustedError at the deadline', async () => {
    await script({ maxWaitLanes: 1 });
    const first = join();
    await until(() => scripted.waiting().length === 1, 'the place');
    const took = stopwatch();
    const began = systemClock.now();
    const second = join({ key: 'other', deadline: began + 400 });
    const third = join({ key: 'third', deadline: began + 400 });
    await expect(inTime(second.grant, 'the end')).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' });
    await expect(inTime(third.grant, 'the end')).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' });
    expect(systemClock.now() - began).toBeGreaterThanOrEqual(399);
    const tries = scripted.said('acquire').filter((r) => r.t === 'acquire' && r.waitMs === 0 && r.key === 'other');
    // None while the machine stood still.
    expect(tries.length).toBeGreaterThanOrEqual(Math.min(4, Math.floor(took() / 100)));
    expect(tries.length).toBeLessThanOrEqual(14);
    expect(scripted.states.filter((state) => state === 'degraded')).toHaveLength(1);
    expect(scripted.links.at(-1)!.detail).toMatch(/remote\.maxWaitLanes/);
    expect(scripted.backend.lanes()[0]).toMatchObject({ polling: 0 });
    first.cancel('x');
  });

  it('a key queue takes the first lane that is spare, the one that has polled for longest first', async () => {
    await script({ maxWaitLanes: 1 });
    const first = join();
    await until(() => scripted.waiting().length === 1, 'the place');
    const second = join({ key: 'second' });
    const third = join({ key: 'third' });
    await until(() => scripted.backend.lanes()[0]!.polling === 2, 'the polling');
    first.cancel('x');
    // At once, not with its next try.
    expect(scripted.backend.lanes()[0]!.polling).toBe(1);
    await until(() => scripted.waiting('second').length === 1, 'the place of the second');
    second.cancel('x');
    await until(() => scripted.waiting('third').length === 1, 'the place of the third');
    third.cancel('x');
  });

  it('what a poll brings goes to the head, and to as many as there are slots', async () => {
    await script({ maxWaitLanes: 1 });
    const blocker = join({ key: 'x' });
    await until(() => scripted.waiting('x').length === 1, 'the place');
    const sem = { key: 's', kind: 'sem', limit: 3 } as const;
    const callers = [join(sem), join(sem), join(sem)];
    await until(() => scripted.backend.lanes()[0]!.polling === 1, 'the polling');
    scripted.server.script = (r, p) => (r.t === 'acquire' && r.waitMs === 0 ? `ok ${TOKEN} 10\n` : busy(r, p));
    await inTime(Promise.all(callers.map((caller) => caller.grant)), 'the grants');
    blocker.cancel('x');
  });

  it('four callers that hold one key and wait for the next do not dead-lock', async () => {
    const [ours, theirs] = await processes(2, { maxWaitLanes: 4 });
    const last = (await theirs!.tryAcquire(request({ key: '4' })))!;
    // Waited for, so that the lanes are taken by what is held.
    const firsts = await Promise.all([0, 1, 2, 3].map((key) => theirs!.tryAcquire(request({ key: String(key) }))));
    const holders = [0, 1, 2, 3].map((key) => join({ key: String(key) }, ours));
    await until(() => ours!.lanes()[0]!.blocked === 4, 'the places');
    for (const first of firsts) await release(theirs!, first!);
    const held = await Promise.all(holders.map((holder) => inTime(holder.grant, 'what is held')));
    expect(ours!.lanes()[0]).toMatchObject({ holding: 4 });
    const chain = held.map(async (grant, i) => {
      const next = await join({ key: String(i + 1) }, ours).grant;
      await release(ours!, grant);
      await release(ours!, next);
    });
    await new Promise((resolve) => setTimeout(resolve, 60));
    await release(theirs!, last);
    await inTime(Promise.all(chain), 'the chain');
  });
});

describe('over a daemon', () => {
  it('nobody overtakes the first waiter whose lane is connecting: 300 rounds', async () => {
    const [backend, other] = await processes(2);
    for (let round = 0; round < 300; round++) {
      const key = `key-${round}`;
      const held = (await other!.tryAcquire(request({ key })))!;
      const order: number[] = [];
      const take = (i: number) =>
        join({ key }, backend).grant.then((grant: Grant) => {
          order.push(i);
          return release(backend!, grant);
        });
      const first = take(1);
      // The try has been refused, and the lane for the place is being made.
      await until(() => backend!.lanes()[0]!.blocked > 0, 'the lane');
      const released = release(other!, held);
      const second = take(2);
      await inTime(Promise.all([first, second, released]), `round ${round}`);
      expect(order).toEqual([1, 2]);
    }
  }, 30_000);

  it('10,000 acquires that end at random leave no lane, timer or waiter', async () => {
    const [backend, other] = await processes(2);
    const busyWith = new Set<Promise<unknown>>();
    const keys = 40;
    for (let i = 0; i < 10_000; i++) {
      const sem = i % 4 === 0;
      const pending = join(
        {
          key: `${sem ? 's' : 'l'}${i % keys}`,
          kind: sem ? 'sem' : 'lock',
          limit: sem ? 2 : 1,
          deadline: systemClock.now() + Math.random() * 60,
          leaseMs: i % 3 ? 10_000 : 20_000,
        },
        i % 5 ? backend : other,
      );
      const owner = i % 5 ? backend! : other!;
      if (i % 3 === 0) setTimeout(() => pending.cancel('enough'), Math.random() * 30);
      const end = pending.grant.then((grant) => release(owner, grant)).catch(() => undefined);
      busyWith.add(end);
      void end.then(() => busyWith.delete(end));
      if (i % 200 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await inTime(Promise.all(busyWith), 'the end of all', 20_000);
    for (const process of [backend!, other!]) {
      await until(() => {
        const { blocked, holding, polling } = process.lanes()[0]!;
        return blocked + holding + polling === 0;
      }, 'the lanes to be free');
      expect(process.leftOvers()).toEqual({ queues: 0, waits: 0 });
    }
    await until(async () => {
      const [stats] = await backend!.stats();
      return stats!.locks.length + stats!.semaphores.length === 0;
    }, 'the daemon to have neither holder nor waiter');
  }, 40_000);
});
