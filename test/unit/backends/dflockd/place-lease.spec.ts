import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../../lib/common/system.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import type { AcquireOptions } from '../../../../lib/locks/acquire/acquire-options.js';
import type { RemoteOptions } from '../../../../lib/locks/options/options.js';
import { inTime, until } from '../../../support/until.js';
import { FakeServer, obliging, type Peer, type Script } from './support/fake-server.js';
import { TOKEN } from './support/scripted.js';

let server: FakeServer;
let client: LockClient;
const OTHER = TOKEN.replaceAll('0', 'f');

afterEach(async () => {
  await client.close();
  await server.close();
});

/** Tries are refused; waits and renewals are not answered before a test says so. */
const busy: Script = (r, peer) => {
  if (r.t === 'renew') return undefined;
  if (r.t !== 'acquire') return obliging(r, peer);
  return r.waitMs === 0 ? 'timeout\n' : undefined;
};

async function start(remote: RemoteOptions = {}): Promise<void> {
  server = await FakeServer.start(busy);
  const servers = [server.endpoint.label];
  client = await LockClient.connect({ servers, remote: { commandLanes: 1, ...remote }, shutdownTimeoutS: 0.1 });
}

/** Connections with a place, in the order in which they were made. */
const places = (): Peer[] =>
  server.peers.filter(({ requests }) => requests.some((r) => r.t === 'acquire' && r.waitMs > 0));
const place = (at = 0): Promise<Peer> => until(() => places()[at], 'the place');
const saidBy = (peer: Peer): string[] =>
  peer.requests.map((r) => ('leaseMs' in r ? `${r.t} ${r.leaseMs / 1000}` : r.t));
const soon = (peer: Peer, last: string): Promise<unknown> => until(() => saidBy(peer).at(-1) === last, last);

/** A lock that is waited for, and the place that stands for it. */
async function waiting(options: AcquireOptions = {}) {
  const lock = client.acquire('k', { leaseTtlS: 33, ...options });
  lock.catch(() => undefined);
  return { lock, peer: await place() };
}

describe('a place asks', () => {
  it.each([
    [{}, 33, 3],
    [{}, 2, 2],
    [{ placeLeaseS: 5 }, 33, 5],
    [{ placeLeaseS: 60 }, 33, 33],
  ])('for the smaller of the wanted lease and placeLeaseS: %j, %d s', async (remote, leaseTtlS, asked) => {
    await start(remote);
    const { lock, peer } = await waiting({ leaseTtlS });
    expect(saidBy(peer)).toEqual([`acquire ${asked}`]);
    peer.say(`ok ${TOKEN} ${asked}\n`);
    const held = await inTime(lock, 'the lock');
    // One request more, and none where there is nothing to renew.
    if (asked < leaseTtlS) await soon(peer, `renew ${leaseTtlS}`);
    await held.release();
    expect(saidBy(peer)).toEqual([`acquire ${asked}`, ...(asked < leaseTtlS ? [`renew ${leaseTtlS}`] : []), 'release']);
  });

  it('for placeLeaseS where the default of the server is wanted, which the renewal gives', async () => {
    await start();
    const { lock, peer } = await waiting({ leaseTtlS: undefined });
    expect(saidBy(peer)).toEqual(['acquire 3']);
    peer.say(`ok ${TOKEN} 3\n`);
    const held = await inTime(lock, 'the lock');
    await soon(peer, 'renew 0');
    // The default is not known: it may be as short as a second.
    expect(held.remainingMs).toBeLessThan(1000);
    peer.say('ok 20\n');
    await until(() => held.remainingMs > 18_000, 'the answer');
    // From now on it is known, and asked for.
    void held.renew().catch(() => undefined);
    await soon(peer, 'renew 20');
    peer.say('ok 20\n');
    await held.release();
    const next = client.acquire('k');
    await until(() => saidBy(peer).filter((said) => said === 'acquire 3').length === 2, 'the next place');
    peer.say(`ok ${OTHER} 3\n`);
    await inTime(next, 'the next lock');
    await soon(peer, 'renew 20');
  });
});

describe('a fresh grant', () => {
  it('goes to its caller at once; until the renewal is answered, only the short lease is sure', async () => {
    await start();
    const { lock, peer } = await waiting();
    peer.say(`ok ${TOKEN} 3\n`);
    const held = await inTime(lock, 'the lock');
    await soon(peer, 'renew 33');
    expect(held.remainingMs).toBeLessThan(3000);
    expect(held.isHeld).toBe(true);
    peer.say('ok 33\n');
    await until(() => held.remainingMs > 22_000, 'the answer');
  });

  it('is lost when its renewal is refused', async () => {
    await start();
    const { lock, peer } = await waiting();
    peer.say(`ok ${TOKEN} 3\n`);
    const held = await inTime(lock, 'the lock');
    await soon(peer, 'renew 33');
    peer.say('error\n');
    await soon(peer, 'ping');
    peer.say('ok\n');
    await until(() => held.signal.aborted, 'the loss');
    expect(held.signal.reason).toMatchObject({ reason: 'rejected' });
  });

  it('is released right behind its renewal, whose answer is of no interest then', async () => {
    await start();
    server.script = (r, peer) => (r.t === 'release' ? undefined : busy(r, peer));
    const { lock, peer } = await waiting();
    peer.say(`ok ${TOKEN} 3\n`);
    const released = lock.then((held) => held.release());
    await soon(peer, 'release');
    expect(saidBy(peer)).toEqual(['acquire 3', 'renew 33', 'release']);
    peer.say('ok 33\nok\n');
    expect(await inTime(released, 'the release')).toBe(true);
    expect(client.toJSON()).toMatchObject({ held: 0 });
  });

  it('tells nobody of its renewal', async () => {
    await start();
    const events: string[] = [];
    client.events$.subscribe(({ type }) => events.push(type));
    const { lock, peer } = await waiting();
    peer.say(`ok ${TOKEN} 3\n`);
    const held = await inTime(lock, 'the lock');
    await soon(peer, 'renew 33');
    peer.say('ok 33\n');
    await until(() => held.remainingMs > 22_000, 'the answer');
    expect(events).toEqual(['queued', 'acquired']);
  });

  it('is renewed by its own lane where locks outlive connections, and a later renewal does not overtake that one', async () => {
    await start({ autoRelease: false });
    const { lock, peer } = await waiting();
    peer.say(`ok ${TOKEN} 3\n`);
    const held = await inTime(lock, 'the lock');
    await soon(peer, 'renew 33');
    const renewed = held.renew(50);
    const others = server.peers.filter((one) => one !== peer);
    expect(others.flatMap(saidBy).filter((said) => said.startsWith('renew'))).toEqual([]);
    peer.say('ok 33\n');
    const other = await until(() => others.find((one) => saidBy(one).includes('renew 50')), 'the other renewal');
    other.say('ok 50\n');
    await inTime(renewed, 'the renewal');
  });
});

describe('a grant is renewed before its caller has it', () => {
  it('where the caller does not renew', async () => {
    await start();
    const { lock, peer } = await waiting({ autoRenew: false });
    let has = false;
    void lock.then(() => (has = true));
    peer.say(`ok ${TOKEN} 3\n`);
    await soon(peer, 'renew 33');
    expect(has).toBe(false);
    peer.say('ok 33\n');
    const held = await inTime(lock, 'the lock');
    expect(held.remainingMs).toBeGreaterThan(22_000);
  });

  it('where it is stale', async () => {
    await start({ placeLeaseS: 1 });
    const { lock, peer } = await waiting();
    let has = false;
    void lock.then(() => (has = true));
    const asked = systemClock.now();
    await until(() => systemClock.now() - asked > 600, 'more than half of the lease to be over');
    peer.say(`ok ${TOKEN} 1\n`);
    await soon(peer, 'renew 33');
    expect(has).toBe(false);
    peer.say('ok 33\n');
    await inTime(lock, 'the lock');
  });
});

describe('several keys', () => {
  it('are renewed as each is granted', async () => {
    await start();
    const lock = client.acquire(['a', 'b'], { leaseTtlS: 33 });
    const first = await place();
    first.say(`ok ${TOKEN} 3\n`);
    await soon(first, 'renew 33');
    first.say('ok 33\n');
    const second = await place(1);
    expect(saidBy(second)).toEqual(['acquire 3']);
    second.say(`ok ${OTHER} 3\n`);
    const held = await inTime(lock, 'the locks');
    expect(held.remainingMs).toBeLessThan(3000);
    await soon(second, 'renew 33');
    second.say('ok 33\n');
    await until(() => held.remainingMs > 22_000, 'the answers');
  });
});

describe('a place whose grant ran out', () => {
  it.each(['before it was read', 'at the server'])(
    '%s asks again at the tail; its callers keep their order and hear nothing of it',
    async (where) => {
      await start({ placeLeaseS: 1 });
      const order: string[] = [];
      const take = (name: string) =>
        client.acquire('k', { leaseTtlS: 33 }).then((lock) => {
          order.push(name);
          return lock;
        });
      const locks = [take('first'), take('second'), take('third')];
      const [a, b] = [await place(0), await place(1)];
      const asked = systemClock.now();
      await until(() => systemClock.now() - asked > 600, 'more than half of the lease to be over');
      const first = [a, b];
      server.script = (r, peer) => {
        if (r.t === 'acquire' && r.waitMs > 0) return `ok ${TOKEN} 1\n`;
        return r.t === 'renew' && (where === 'at the server' || !first.includes(peer)) ? 'ok 33\n' : busy(r, peer);
      };
      if (where === 'at the server') for (const peer of first) peer.say('error_lease_expired\n');
      else {
        // Both are on their way to their callers, the first of whom learns first that it was in vain.
        for (const peer of first) peer.say(`ok ${TOKEN} 1\n`);
        for (const peer of first) {
          await soon(peer, 'renew 33');
          peer.say('error\n');
        }
      }
      await inTime(Promise.all(locks), 'all locks');
      expect(order).toEqual(['first', 'second', 'third']);
      if (where === 'before it was read') return;
      // On the same connection.
      for (const peer of first) expect(saidBy(peer).slice(0, 2)).toEqual(['acquire 1', 'acquire 1']);
    },
  );

  it('and is told so at once is asked for again after a pause', async () => {
    await start();
    server.script = (r, peer) => (r.t === 'acquire' && r.waitMs > 0 ? 'error_lease_expired\n' : busy(r, peer));
    const lock = client.acquire('k', { leaseTtlS: 33, acquireTimeoutS: 0.3 });
    await expect(lock).rejects.toMatchObject({ code: 'ACQUIRE_TIMEOUT' });
    const asked = places()
      .flatMap((peer) => peer.requests)
      .filter((r) => r.t === 'acquire' && r.waitMs > 0).length;
    expect(asked).toBeGreaterThan(1);
    expect(asked).toBeLessThan(20);
  });
});
