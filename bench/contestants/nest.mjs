import { measureAtMost } from '../support/goals.mjs';

const methodOf = (name, method, goals = []) => ({
  name,
  unit: 'calls',
  goals,
  async start(stage) {
    const client = await stage.client('nest-methods.mjs', [stage.moduleUrl('entries/index.js')], stage.nodeFlags);
    return {
      async slice(ms) {
        const { cpuMs, ...rest } = await client.ask('slice', { method, ms });
        return { ...rest, clientCpuMs: cpuMs };
      },
    };
  },
});

export const openMethod = methodOf('a method without a lock', 'open');

/** The cost that @WithLock adds without contention. */
export const lockedMethod = methodOf('the same under @WithLock, embedded', 'locked', [measureAtMost(8, 'µs added')]);
