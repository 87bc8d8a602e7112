import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PoolExhaustedError } from '../../../lib/common/errors.js';
import type { LockEvent } from '../../../lib/locks/events/events.js';
import { inTime, until } from '../../support/until.js';
import { World } from './support/world.js';

let world: World;

beforeEach(async () => {
  world = await World.open();
});

afterEach(() => world.close());

describe('more keys waited for than there are wait lanes', () => {
  it('are asked for again and again, which is told once, and end in PoolExhaustedError at the deadline', async () => {
    const client = await world.client(undefined, { maxWaitLanes: 3 });
    const other = await world.client();
    const events: LockEvent[] = [];
    client.events$.subscribe((event) => events.push(event));
    const keys = Array.from({ length: 12 }, (_, i) => `key-${i}`);
    const held = await Promise.all(keys.map((key) => other.acquire(key)));
    const impatient = client.acquire('key-0', { acquireTimeoutS: 1 });
    impatient.catch(() => undefined);
    const all = keys.map((key) => client.acquire(key, { acquireTimeoutS: 20 }));
    await expect(impatient).rejects.toMatchObject({ code: 'ACQUIRE_TIMEOUT' });
    const late = client.acquire('key-11', { acquireTimeoutS: 0.6 });
    await expect(late).rejects.toBeInstanceOf(PoolExhaustedError);
    await until(() => events.some(({ type }) => type === 'degraded'), 'the event');
    const { connections } = (await other.stats())[0]!;
    // Both: two command lanes and one for stats; the client: three that wait.
    expect(connections).toBeLessThanOrEqual(9);
    for (const lock of held) await lock.release();
    const locks = await inTime(Promise.all(all), 'all keys', 15_000);
    expect(locks.every((lock) => lock.isHeld)).toBe(true);
    for (const lock of locks) await lock.release();
    await world.empty(other);
    expect(events.filter(({ type }) => type === 'degraded').length).toBeLessThanOrEqual(2);
  });

  it('a ticket without a lane is refused at once', async () => {
    const client = await world.client(undefined, { maxWaitLanes: 1 });
    const first = client.enqueue('a');
    await first.placed;
    const second = client.enqueue('b');
    await expect(second.placed).rejects.toBeInstanceOf(PoolExhaustedError);
    await expect(second.wait(1)).rejects.toBeInstanceOf(PoolExhaustedError);
    await first.cancel();
  });
});
