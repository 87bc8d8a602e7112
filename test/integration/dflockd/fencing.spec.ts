import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LockEvent } from '../../../lib/locks/events/events.js';
import { OlderDaemon } from '../../support/older-daemon.js';
import { until } from '../../support/until.js';
import { World } from './support/world.js';

let world: World;

beforeEach(async () => {
  world = await World.open();
});

afterEach(() => world.close());

describe("remote.fencing: 'token'", () => {
  it('shows the number at the beginning of the token, which rises', async () => {
    const client = await world.client(undefined, { fencing: 'token' });
    expect(client.capabilities.fence).toBe('per-key');
    let last = 0n;
    for (let i = 0; i < 20; i++) {
      const lock = await client.acquire('key');
      expect(lock.fence).toBe(BigInt(`0x${lock.token.slice(0, 16)}`));
      expect(lock.grants[0]!.fence).toBe(lock.fence);
      expect(lock.fence! > last).toBe(true);
      last = lock.fence!;
      await lock.release();
    }
  });

  it('is reported and no longer obeyed where tokens are random', async () => {
    const old = new OlderDaemon({ port: 0, shutdownTimeout: 0.1 });
    const { port } = await old.listen();
    world.later(() => old.close());
    const client = await world.client([`127.0.0.1:${port}`], { fencing: 'token' });
    const events: LockEvent[] = [];
    client.events$.subscribe((event) => events.push(event));
    const degraded = () => events.filter(({ type }) => type === 'degraded');
    await until(async () => {
      await (await client.acquire('key')).release();
      return degraded().length > 0;
    }, 'a number that does not rise');
    for (let i = 0; i < 5; i++) {
      const lock = await client.acquire('key');
      expect(lock.fence).toBeUndefined();
      await lock.release();
    }
    expect(degraded()).toHaveLength(1);
    expect(degraded()[0]).toMatchObject({ server: `127.0.0.1:${port}`, detail: expect.stringContaining('fencing') });
  });

  it('by default is not assumed', async () => {
    const client = await world.client();
    expect(client.capabilities.fence).toBe('none');
    expect((await client.acquire('key')).fence).toBeUndefined();
  });
});
