import { slotIdsOf } from '../../../../../lib/backends/postgres/ids/slot-ids.js';
import type { PostgresBackendOptions } from '../../../../../lib/backends/postgres/options.js';
import { FakeClock } from '../../../../support/fake-clock.js';
import { ModelPostgres, type ModelSession } from '../commands/model-postgres.js';
import { type Caller, ModelProcess, settle } from '../process.js';

const { gate, slots } = slotIdsOf('k', 2);

/** The semaphore `k` of two slots in a database of its own, and the processes that use it. */
export class SemaphoreOfTwo {
  readonly clock = new FakeClock();
  readonly postgres = new ModelPostgres(this.clock);
  /** The ids of its slots, as the model lists them. */
  readonly slots = slots.map(String).sort();

  async start(options: PostgresBackendOptions = {}): Promise<ModelProcess> {
    const process = await ModelProcess.start(this.postgres, options);
    process.slots = 2;
    return process;
  }

  /** Everything that can be answered is. */
  settle(): Promise<void> {
    return settle(this.postgres);
  }

  /** Time passes, and everything that can be answered then is. */
  async pass(ms: number): Promise<void> {
    await this.clock.advanceAsync(ms);
    await this.settle();
  }

  /** The session of a process that has the gate. */
  atGate(process: ModelProcess): ModelSession | undefined {
    return process.waits.find((session) => this.postgres.heldBy(session).includes(String(gate)));
  }

  /** One process has both slots, and a caller of the other one waits at the gate. */
  async contended(
    holder: ModelProcess,
    waiter: ModelProcess,
    waitMs = 60_000,
  ): Promise<{ held: Caller[]; waiting: Caller }> {
    const held = await holder.holders(2);
    const waiting = waiter.enqueue('k', waitMs);
    await this.settle();
    if (!this.atGate(waiter)) throw new Error('nobody is at the gate');
    return { held, waiting };
  }
}
