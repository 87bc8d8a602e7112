import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Proxy } from '../../support/proxy.js';
import { stopwatch } from '../../support/stopwatch.js';
import { fallIn, type Hole } from './support/black-hole.js';
import { World } from './support/world.js';

let world: World;

beforeEach(async () => {
  world = await World.open();
});

afterEach(() => world.close());

const SILENCE = { daemon: { readTimeout: 1 }, remote: { readTimeoutS: 1, requestTimeoutMs: 300 }, leaseTtlS: 60 };
const LEASE = { daemon: {}, remote: { requestTimeoutMs: 300 }, leaseTtlS: 1 };

describe('a connection in a black hole', () => {
  it.each<[string, Hole[]]>([
    [
      'the read timeout ends it',
      [
        { ...SILENCE, directions: ['up', 'down'] },
        { ...SILENCE, directions: ['up'] },
        { ...SILENCE, remote: { readTimeoutS: 1 }, directions: ['up', 'down'] },
      ],
    ],
    [
      'the lease ends it',
      [
        { ...LEASE, directions: ['up', 'down'] },
        { ...LEASE, directions: ['up'] },
        { ...LEASE, remote: {}, directions: ['up', 'down'] },
      ],
    ],
  ])('tells its holder before a rival gets the lock: %s', async (_, holes) => {
    const outcomes = await Promise.all(holes.map((hole) => fallIn(world, hole)));
    for (const [before, believed] of outcomes) {
      expect(before).toBeGreaterThan(0);
      expect(believed).toBe(false);
    }
  });

  it('that swallows answers only: its holder is told long before', async () => {
    // The daemon hears every renewal; only the holder cannot know.
    const { port } = (await world.server({ readTimeout: 1 })).address()!;
    const proxy = await Proxy.to(port);
    world.later(() => proxy.close());
    const client = await world.client([proxy.address], { readTimeoutS: 1, requestTimeoutMs: 300 });
    const lock = await client.acquire('key', { leaseTtlS: 60 });
    const told = new Promise((resolve) => client.lockLost$.subscribe(resolve));
    const took = stopwatch();
    proxy.blackHole(['down']);
    await told;
    expect(took()).toBeLessThan(1000);
    expect(lock.isHeld).toBe(false);
    proxy.reset();
  });
});
