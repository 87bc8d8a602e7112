import { beforeAll, it } from '@jest/globals';
import { RedisWorld } from './world.js';

export type Scenario = (world: RedisWorld) => Promise<unknown>;

/** Tests that mostly wait, each with a Redis of its own: all of them run at the same time. */
export function allAtOnce(scenarios: Readonly<Record<string, Scenario>>): void {
  const running = new Map<string, Promise<unknown>>();

  async function run(scenario: Scenario): Promise<void> {
    const world = await RedisWorld.open();
    try {
      await scenario(world);
    } finally {
      await world.close();
    }
  }

  beforeAll(() => {
    for (const [name, scenario] of Object.entries(scenarios)) {
      const started = run(scenario);
      // Its test tells.
      started.catch(() => undefined);
      running.set(name, started);
    }
  });

  it.each(Object.keys(scenarios))('%s', async (name) => {
    await running.get(name);
  });
}
