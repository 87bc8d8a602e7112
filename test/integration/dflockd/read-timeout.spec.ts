import { afterEach, describe, expect, it } from '@jest/globals';
import type { LockEvent, LockLostEvent } from '../../../lib/locks/events/events.js';
import { inTime, until } from '../../support/until.js';
import { World } from './support/world.js';

let world: World;

afterEach(() => world.close());

/** Longer than the server's patience below. */
const QUIET_MS = 2000;
const SHORT = { readTimeout: 1.4 };
/** Half of it. */
const HALF_MS = 700;

const quiet = (ms = QUIET_MS): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a server that answers every heartbeat with a bare error, as before 1.14', () => {
  it('keeps what is held, although such an error alone proves nothing', async () => {
    world = await World.older();
    const client = await world.client(undefined, { readTimeoutS: 3 });
    const lock = await client.acquire('key', { leaseTtlS: 60 });
    // Heartbeats come every second.
    await until(() => lock.remainingMs < 2200, 'a second of silence');
    await until(() => lock.remainingMs > 2200, 'proof that it is held');
    expect(await lock.release()).toBe(true);
  });
});

describe('a server that closes idle connections sooner than the option readTimeoutS says', () => {
  it('costs the locks that are held when the client notices; from then on lanes send often enough, and one event reports it', async () => {
    world = await World.open(SHORT);
    const client = await world.client();
    const degraded: LockEvent[] = [];
    client.events$.subscribe((event) => event.type === 'degraded' && degraded.push(event));
    const lost = new Promise<LockLostEvent>((resolve) => client.lockLost$.subscribe(resolve));
    await client.acquire('first', { leaseTtlS: 60 });
    // The control lane speaks last: were it closed first, that would save the lock on the other one.
    await quiet(HALF_MS);
    await client.stats();
    expect(await inTime(lost, 'the loss')).toMatchObject({ keys: ['first'], reason: 'disconnected' });
    const second = await client.acquire('second', { leaseTtlS: 60 });
    // Got by waiting: on a lane of its own.
    const other = await world.client(undefined, { readTimeoutS: SHORT.readTimeout });
    const blocker = await other.acquire('third');
    const waiting = client.acquire('third', { leaseTtlS: 60 });
    await blocker.release();
    const third = await waiting;
    await quiet();
    expect([second.isHeld, third.isHeld]).toEqual([true, true]);
    expect(await Promise.all([second.release(), third.release()])).toEqual([true, true]);
    const told = /after (\d\.\d) s of silence, not 23 s \(option remote\.readTimeoutS\)/;
    const silences = degraded.map((event) => Number(told.exec(event.type === 'degraded' ? event.detail : '')?.[1]));
    expect(silences.length).toBeGreaterThan(0);
    // Once more only if that seemed longer, the first time, than it is.
    expect(silences).toEqual([...new Set(silences)].sort((a, b) => b - a));
  });

  it('saves what is held on other connections: less is believed and more is said there at once', async () => {
    world = await World.open(SHORT);
    const client = await world.client(undefined, { commandLanes: 2 });
    const first = await client.acquire('first', { leaseTtlS: 60 });
    // Kept by heartbeats alone.
    const second = await client.acquire('second', { leaseTtlS: 60, autoRenew: false });
    const losses: LockLostEvent[] = [];
    client.lockLost$.subscribe((loss) => losses.push(loss));
    await quiet(HALF_MS);
    // Later than the other one was heard of.
    expect(await second.renew()).toBeGreaterThan(20_000);
    await until(() => losses.length > 0, 'the loss');
    // As long as the silence that was seen, not the 23 s of the option.
    expect(second.remainingMs).toBeLessThan(5000);
    expect(second.isHeld).toBe(true);
    await quiet();
    expect([first.isHeld, second.isHeld]).toEqual([false, true]);
    expect(losses.map(({ keys }) => keys)).toEqual([['first']]);
  });

  it('makes the leases on other connections want proof at once', async () => {
    world = await World.open(SHORT);
    const client = await world.client(undefined, { commandLanes: 2 });
    await client.acquire('first', { leaseTtlS: 60 });
    const second = await client.acquire('second', { leaseTtlS: 60 });
    await quiet(HALF_MS);
    await second.renew();
    const told: LockEvent[] = [];
    client.events$.subscribe((event) => told.push(event));
    await until(() => told.some(({ type }) => type === 'lost'), 'the loss of the first');
    // Without that in half a minute.
    const renewed = (): boolean => told.some((event) => event.type === 'renewed' && event.keys[0] === 'second');
    await until(renewed, 'the renewal', 5000);
  });

  it('is not taken to close at once: lanes do not speak all the time', async () => {
    world = await World.open({ readTimeout: 0.1 });
    const client = await world.client(undefined, { reconnect: { minDelayMs: 5, maxDelayMs: 10 } });
    const believed: number[] = [];
    client.events$.subscribe((event) => {
      if (event.type === 'degraded') believed.push(Number(/after ([\d.]+) s/.exec(event.detail)![1]));
    });
    await until(() => believed.includes(0.5), 'the least that is believed');
    await quiet(500);
    expect(Math.min(...believed)).toBe(0.5);
  });
});
