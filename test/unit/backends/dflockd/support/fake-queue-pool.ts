import type { RemoteConfig } from '../../../../../lib/backends/dflockd/lanes/config.js';
import type { QueuePool } from '../../../../../lib/backends/dflockd/queues/queue-pool.js';
import type { Taken, WhyWait } from '../../../../../lib/backends/dflockd/lanes/wait-lanes.js';
import { Alarms } from '../../../../../lib/common/alarms.js';
import type { LockError } from '../../../../../lib/common/errors.js';
import { FakeClock } from '../../../../support/fake-clock.js';
import { FakeLane } from './fake-lane.js';

/** What a key queue has of its server, on virtual time. What is drawn at random is always in the middle. */
export class FakeQueuePool implements QueuePool {
  readonly server = 'host:6388';
  readonly clock = new FakeClock({ now: 1000 });
  readonly alarms = new Alarms(this.clock);
  readonly entropy = { unit: () => 0.5, fill: () => undefined };
  readonly readTimeoutMs = 23_000;
  isLinked = true;
  outage: LockError | undefined = undefined;
  shortage: string | undefined = undefined;
  defaultLeaseMs = 0;
  readonly settings = {
    autoRelease: true,
    waitersPerKey: 2,
    placeLeaseMs: 20_000,
    maxWaitLanes: 5,
    reconnect: { minDelayMs: 50, maxDelayMs: 2000 },
  };
  readonly config = this.settings as RemoteConfig;
  /** Lanes that were asked for and why, and who gets them. */
  readonly asked: { why: WhyWait; taken: Taken; cancelled: boolean }[] = [];
  /** How many more lanes there are. */
  spare = Infinity;
  readonly commandLane = new FakeLane('command');

  command() {
    return this.commandLane.lane;
  }

  wait(why: WhyWait, taken: Taken): (() => void) | undefined {
    if (this.spare-- <= 0) return undefined;
    const entry = { why, taken, cancelled: false };
    this.asked.push(entry);
    return () => (entry.cancelled = true);
  }

  /** Gives a place its lane, over which it asks. */
  connect(at: number): FakeLane {
    const lane = new FakeLane();
    this.asked[at]!.taken(lane.lane);
    return lane;
  }
}
