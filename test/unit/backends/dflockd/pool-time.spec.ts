import { describe, expect, it } from '@jest/globals';
import type { Lane } from '../../../../lib/backends/dflockd/lanes/lane.js';
import type { ServerPool } from '../../../../lib/backends/dflockd/server-pool.js';
import { LockError } from '../../../../lib/common/errors.js';
import type { Request } from '../../../../lib/protocol/messages.js';
import type { FakeClock } from '../../../support/fake-clock.js';
import { until } from '../../../support/until.js';
import type { FakeServer, Peer } from './support/fake-server.js';
import { type OpenPool, usePool } from './support/open-pool.js';

let server: FakeServer;
let opened: OpenPool;
let clock: FakeClock;
let pool: ServerPool;
let told: string[];

const make = usePool((one) => {
  opened = one;
  ({ server, clock, pool, told } = opened);
});

const nothing = (): void => undefined;
const PING: Request = { t: 'ping' };
const allUp = (): Promise<void> => opened.allUp();
const commands = (): Lane[] => opened.commands();
const waitLane = (): Promise<Lane> => opened.waitLane();
const peersOf = (t: string): Peer[] => opened.peersOf(t);

describe('the command lanes of a pool', () => {
  it('are all connected at the start; the one that owns least is used', async () => {
    expect([pool.draining, told]).toEqual([false, []]);
    await allUp();
    expect(told).toEqual(['up']);
    const [a, b] = commands();
    a!.adopt();
    a!.adopt();
    b!.adopt();
    expect(pool.command()!.id).toBe(b!.id);
    a!.disown();
    a!.disown();
    expect(pool.command()!.id).toBe(a!.id);
    b!.disown();
  });

  it('are up as long as one is', async () => {
    await allUp();
    const [a, b] = commands();
    a!.end(new LockError('lost'));
    expect(told).toEqual(['up']);
    b!.end(new LockError('lost'));
    expect(told).toEqual(['up', 'down LOCK_ERROR']);
    clock.advance(100);
    await until(() => told.length > 2);
    expect(told).toEqual(['up', 'down LOCK_ERROR', 'up']);
  });

  it('that cannot be had are told to who starts', async () => {
    await server.close();
    await expect(pool.start()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    // It was never there, so it is not lost.
    expect(told).toEqual([]);
  });

  it('are waited for as long as the connector may take to say what is wrong', async () => {
    make({ auth: 'x' });
    server.script = () => undefined;
    const outcomes: string[] = [];
    pool.whenCommand(Infinity, (outcome) => outcomes.push((outcome as LockError).message));
    await until(() => peersOf('auth').length === 2);
    clock.advance(1999);
    expect(outcomes).toEqual([]);
    clock.advance(1);
    expect(outcomes).toEqual([
      `cannot reach ${server.endpoint.label}: connected, but got no answer to "auth" within 2000 ms: not dflockd, or it expects TLS`,
    ]);
    expect(pool.waits.size).toBe(0);
  });

  it.each([
    ['the deadline', 1500, 500],
    ['one connect timeout and a bit', Infinity, 2050],
  ])('between two attempts are waited for until %s', async (_, deadline, patience) => {
    make({ reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 } });
    await server.close();
    await expect(pool.start()).rejects.toBeInstanceOf(LockError);
    await until(() => pool.stats().command === 0);
    const outcomes: unknown[] = [];
    pool.whenCommand(deadline, (outcome) => outcomes.push(outcome));
    pool.whenCommand(deadline, () => outcomes.push('cancelled'))();
    expect(pool.waits.size).toBe(1);
    clock.advance(patience - 1);
    expect(outcomes).toEqual([]);
    clock.advance(1);
    const message = `${pool.server}: not connected in time`;
    expect(outcomes).toEqual([expect.objectContaining({ message, server: pool.server, code: 'UNAVAILABLE' })]);
    expect(pool.waits.size).toBe(0);
  });

  it('that have failed since the caller asked are not waited for once more', async () => {
    make({ reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 } });
    await server.close();
    const asked = clock.now();
    clock.advance(10);
    await expect(pool.start()).rejects.toBeInstanceOf(LockError);
    await until(() => pool.stats().command === 0);
    const outcomes: string[] = [];
    pool.whenCommand(Infinity, (error) => outcomes.push(`early ${(error as LockError).message}`), asked);
    pool.whenCommand(Infinity, (error) => outcomes.push(`late ${(error as LockError).message}`), clock.now() + 1);
    expect(outcomes).toEqual([expect.stringContaining('early cannot reach')]);
    clock.advance(2050);
    expect(outcomes.slice(1)).toEqual([`late ${pool.server}: not connected in time`]);
  });

  it('are given to who waits as to who takes: the one that owns least', async () => {
    await allUp();
    const [a, b] = commands();
    const got: string[] = [];
    a!.adopt();
    pool.whenCommand(Infinity, (lane) => got.push((lane as Lane).id));
    a!.disown();
    b!.adopt();
    pool.whenCommand(Infinity, (lane) => got.push((lane as Lane).id));
    b!.disown();
    expect(got).toEqual([b!.id, a!.id]);
  });

  it('that are all given up for good are told so once', async () => {
    make({ auth: 'wrong' });
    server.script = () => 'error_auth\n';
    await expect(pool.start()).rejects.toMatchObject({ code: 'AUTH' });
    await until(() => pool.stats().command === 0);
    const outcomes: string[] = [];
    pool.whenCommand(Infinity, (error) => outcomes.push((error as LockError).code));
    expect([outcomes, pool.waits.size]).toEqual([['AUTH'], 0]);
  });

  it('keep the process alive while they are waited for, and at no other time', async () => {
    const kept: (boolean | undefined)[] = [];
    const set = clock.setTimer.bind(clock);
    clock.setTimer = (fn, delay, keepAlive) => {
      kept.push(keepAlive);
      return set(fn, delay, keepAlive);
    };
    pool.start().catch(nothing);
    expect([...new Set(kept)].sort()).toEqual([false, true]);
    expect(kept.filter(Boolean).length).toBe(1);
    await allUp();
  });

  it('are called back for once', async () => {
    let count = 0;
    pool.whenCommand(Infinity, () => count++);
    await until(() => pool.stats().command === 2 && commands().length === 2);
    expect([count, pool.waits.size]).toEqual([1, 0]);
    pool.whenCommand(Infinity, () => count++)();
    expect(count).toBe(2);
  });
});

describe('the end of a pool', () => {
  it('waits for what is outstanding, and no longer than for that', async () => {
    await allUp();
    server.script = () => undefined;
    const lane = pool.command()!;
    const outcomes: unknown[] = [];
    lane.send(PING, (outcome) => outcomes.push(outcome));
    await until(() => peersOf('ping').length > 0);
    let closed = false;
    const closing = pool.close(1000).then(() => (closed = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect([closed, pool.command()]).toEqual([false, undefined]);
    peersOf('ping')[0]!.say('ok\n');
    await closing;
    expect(outcomes).toEqual([{ s: 'ok' }]);
    await until(() => server.peers.every(({ ended }) => ended));
  });

  it('waits for a grant of a wait lane no longer than it is told to', async () => {
    await allUp();
    server.script = () => undefined;
    const lane = await waitLane();
    lane.send({ t: 'acquire', kind: 'lock', key: 'k', limit: 1, waitMs: 1000, leaseMs: 0 }, nothing);
    let closed = false;
    const closing = pool.close(300).then(() => (closed = true));
    await clock.advanceAsync(299);
    expect([closed, lane.isEnded]).toEqual([false, false]);
    await clock.advanceAsync(1);
    await closing;
    expect(lane.isEnded).toBe(true);
    expect(() => pool.wait('head', nothing)).toThrow('shutting down');
  });

  it('is told to who listens and to who asks', async () => {
    await allUp();
    const errors: unknown[] = [];
    pool.listeners.subscribe('a', '', { signal: nothing, failed: (error) => errors.push(error) });
    await pool.close(0);
    pool.ask(PING, (outcome) => errors.push(outcome));
    const error = expect.objectContaining({ code: 'SHUTTING_DOWN', server: pool.server });
    expect(errors).toEqual([error, error]);
  });
});
