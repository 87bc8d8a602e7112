import { describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { DistributedLock, type DistributedLockOptions } from '../../../lib/entries/client.js';
import { stopwatch } from '../../support/stopwatch.js';
import { until } from '../../support/until.js';
import { obliging, type Script, type ScriptedServer, TOKEN } from './support/scripted-server.js';
import { useWorld } from './support/world.js';

/**
 * Leases below are far longer than what passes until they are renewed: on a machine that stands still for a while they
 * would be over instead.
 */
const LEASE_S = 10;
/** Renews such a lease as soon as is possible: after 0.1 s. */
const SOON = { renewRatio: 0.01 };
/** Timers and sockets of a busy machine are late, never early; less than what is told apart below. */
const LATE = 110;
/** A request seems early when the one before was read late. */
const EARLY = 30;

describe('renewal', () => {
  const world = useWorld();
  const losses: string[] = [];
  async function held(
    script: Script,
    options: Partial<DistributedLockOptions> = {},
  ): Promise<[ScriptedServer, DistributedLock, () => number[]]> {
    losses.length = 0;
    const server = await world.scripted(script);
    const onLockLost = (key: string, token: string): void => void losses.push(`${key} ${token}`);
    const lock = world.own(new DistributedLock({ key: 'k', servers: server.servers, onLockLost, ...options }));
    await lock.acquire();
    const renewals = (): number[] => {
      const { requests, times } = server.peers[0]!;
      return times.filter((_time, i) => requests[i]![0] === 'n');
    };
    return [server, lock, renewals];
  }
  /** Bounds of the times between requests: a machine that stood still may have read either of the two late. */
  const gaps = (server: ScriptedServer): { least: number; most: number }[] => {
    const { times, stoodStill } = server.peers[0]!;
    return times.slice(1).map((time, i) => ({
      least: time - times[i]! - (stoodStill[i + 1]! - stoodStill[i]!),
      most: time - times[i]! + (stoodStill[i]! - (stoodStill[i - 1] ?? 0)),
    }));
  };

  it('comes after the ratio of the lease, and again that long after the last one began', async () => {
    const [server, lock, renewals] = await held(obliging(LEASE_S), { renewRatio: 0.02 });
    await until(() => renewals().length === 3, 'three renewals');
    for (const { least, most } of gaps(server)) {
      expect(most).toBeGreaterThanOrEqual(200 - EARLY);
      expect(least).toBeLessThan(200 + LATE);
    }
    expect(server.peers[0]!.requests[1]).toEqual(['n', 'k', TOKEN]);
    expect(lock.lease).toBe(LEASE_S);
  });

  it('counts from the beginning of the one before, not from its answer', async () => {
    const answersLate: Script = (lines, peer) => {
      if (lines[0] === 'n') setTimeout(() => peer.say(`ok ${LEASE_S}\n`), 120);
      else return obliging(LEASE_S)(lines, peer);
    };
    const [server, , renewals] = await held(answersLate, { renewRatio: 0.02 });
    await until(() => renewals().length === 3, 'three renewals');
    for (const { least } of gaps(server)) expect(least).toBeLessThan(200 + LATE);
  });

  it('goes by the lease that was answered, and asks for the one that is wanted', async () => {
    const [server, lock, renewals] = await held(([command]) => (command === 'n' ? 'ok 10\n' : `ok ${TOKEN} 3\n`), {
      leaseTtlS: 9,
      renewRatio: 0.05,
    });
    await until(() => renewals().length === 2, 'two renewals');
    expect(server.peers[0]!.requests[1]).toEqual(['n', 'k', `${TOKEN} 9`]);
    const [first, second] = gaps(server);
    expect(first!.least).toBeLessThan(150 + LATE);
    expect(second!.most).toBeGreaterThanOrEqual(500 - EARLY);
    expect(lock.lease).toBe(10);
  });

  it.each([
    // Of a short lease: 'a quiet connection' in loss.spec.ts.
    ['no lease', 0, 0.5],
    ['a small ratio', LEASE_S, 0.001],
  ])('comes after 0.1 s at least: %s', async (_name, lease, renewRatio) => {
    const [server, , renewals] = await held(obliging(lease), { renewRatio });
    await until(() => renewals().length === 2, 'two renewals');
    for (const { least, most } of gaps(server)) {
      expect(most).toBeGreaterThanOrEqual(100 - EARLY);
      expect(least).toBeLessThan(100 + LATE);
    }
  });

  it.each<[string, Script]>([
    ['a refusal', () => 'error\n'],
    ['draining', () => 'error_draining\n'],
    ['timeout', () => 'timeout\n'],
    ['garbage', () => '\u0001\n'],
    ['an end', (_lines, peer) => void peer.socket.end()],
    ['a reset', (_lines, peer) => void peer.socket.resetAndDestroy()],
  ])('that fails by %s is the loss: told once, no second try, connection closed', async (_name, script) => {
    const [server, lock] = await held(
      (lines, peer) => (lines[0] === 'n' ? script(lines, peer) : obliging(LEASE_S)(lines, peer)),
      SOON,
    );
    await until(() => losses.length > 0, 'the loss');
    expect([lock.token, lock.lease]).toEqual([null, 0]);
    await until(() => server.peers[0]!.ended, 'the end');
    await pause(110);
    expect(losses).toEqual([`k ${TOKEN}`]);
    expect(server.peers[0]!.requests.map(([command]) => command)).toEqual(['l', 'n']);
    server.script = obliging();
    expect(await lock.acquire()).toBe(true);
  });

  it('without an answer is the loss when the lease is over', async () => {
    const since = performance.now();
    const took = stopwatch();
    const [, lock] = await held((lines, peer) => (lines[0] === 'n' ? undefined : obliging(0.6)(lines, peer)));
    await until(() => losses.length > 0, 'the loss');
    expect(took()).toBeLessThanOrEqual(600);
    expect(performance.now() - since).toBeGreaterThanOrEqual(500);
    expect(lock.token).toBeNull();
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('mine');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('mine');
      },
    ],
  ] as [string, () => void][])('a callback that %s harms nobody', async (_name, callback) => {
    let told = 0;
    const [, lock] = await held((lines, peer) => (lines[0] === 'n' ? 'error\n' : obliging(0.2)(lines, peer)), {
      onLockLost: () => {
        told++;
        return callback();
      },
    });
    await until(() => told === 1, 'the call');
    expect(lock.token).toBeNull();
  });

  it('the callback may acquire again', async () => {
    let again: Promise<boolean> | undefined;
    const [server, lock] = await held((lines, peer) => (lines[0] === 'n' ? 'error\n' : obliging(0.2)(lines, peer)), {
      onLockLost: () => {
        server.script = obliging();
        again = lock.acquire();
      },
    });
    expect(await until(() => again, 'the acquire')).toBe(true);
    expect(lock.token).toBe(TOKEN);
  });

  it.each<[string, (lock: DistributedLock) => unknown]>([
    ['release', (lock) => lock.release()],
    ['close', (lock) => lock.close()],
    ['an acquire by force', (lock) => lock.acquire({ force: true })],
  ])('in flight changes nothing after %s', async (_name, end) => {
    const [server, lock, renewals] = await held(
      (lines, peer) => (lines[0] === 'n' ? undefined : obliging(LEASE_S)(lines, peer)),
      SOON,
    );
    await until(() => renewals().length === 1, 'the renewal');
    server.script = (lines, peer) => obliging(33)(lines, peer);
    const ended = end(lock);
    server.peers[0]!.say('error\n');
    await ended;
    await pause(30);
    expect(losses).toEqual([]);
  });

  it('in flight is waited for by a release', async () => {
    const [server, lock, renewals] = await held(
      (lines, peer) => (lines[0] === 'n' ? undefined : obliging(LEASE_S)(lines, peer)),
      SOON,
    );
    await until(() => renewals().length === 1, 'the renewal');
    const released = lock.release();
    await pause(50);
    expect(server.peers[0]!.requests.map(([command]) => command)).toEqual(['l', 'n']);
    server.peers[0]!.say('ok 5\n');
    await released;
    expect(server.peers[0]!.requests.map(([command]) => command)).toEqual(['l', 'n', 'r']);
  });

  it('in flight without an answer holds a release up for 5 s, then it is sent', async () => {
    const [server, lock, renewals] = await held(
      (lines, peer) => (lines[0] === 'n' ? undefined : obliging(LEASE_S)(lines, peer)),
      SOON,
    );
    await until(() => renewals().length === 1, 'the renewal');
    const since = performance.now();
    const took = stopwatch();
    await lock.release();
    expect(performance.now() - since).toBeGreaterThanOrEqual(4990);
    expect(took()).toBeLessThan(5500);
    await until(() => server.peers[0]!.ended, 'the end');
    expect(server.peers[0]!.requests.map(([command]) => command)).toEqual(['l', 'n', 'r']);
    expect(losses).toEqual([]);
    expect(lock.token).toBeNull();
  }, 30_000);

  it('does not come before its time, however the wall clock is set', async () => {
    const [server] = await held(obliging());
    const { now } = Date;
    try {
      Date.now = () => now() + 3_600_000;
      await pause(300);
      expect(server.peers[0]!.requests).toHaveLength(1);
    } finally {
      Date.now = now;
    }
  });
});
