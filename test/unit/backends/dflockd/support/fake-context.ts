import type { LaneContext } from '../../../../../lib/backends/dflockd/lanes/lane-context.js';
import { ServerRecord } from '../../../../../lib/backends/dflockd/lanes/server-record.js';
import { NO_PROBE } from '../../../../../lib/backends/dflockd/lanes/drain-probe.js';
import { type Alarm, Alarms } from '../../../../../lib/common/alarms.js';
import type { Ms } from '../../../../../lib/common/system.js';
import { FakeClock } from '../../../../support/fake-clock.js';
import type { FakeServer } from './fake-server.js';

/** Knows what was set last. */
class SeenAlarms extends Alarms {
  lastDue: Ms = NaN;

  override set(alarm: Alarm, due: Ms): void {
    this.lastDue = due;
    super.set(alarm, due);
  }
}

/** A lane's surroundings: its time stands still until it is told to pass, its sockets are real. */
export interface FakeContext extends LaneContext {
  readonly clock: FakeClock;
  readonly alarms: SeenAlarms;
  /** What the pool was told. */
  readonly log: string[];
  /** Whether a command lane is connected. */
  readonly pool: { isLinked: boolean };
}

export function fakeContext(
  server: FakeServer,
  change: Partial<Omit<LaneContext, 'clock' | 'alarms'>> = {},
): FakeContext {
  const clock = new FakeClock({ now: 1000 });
  const log: string[] = [];
  const pool = { isLinked: false };
  return {
    target: { endpoint: server.endpoint, tls: undefined, auth: undefined, connectTimeoutMs: 1000 },
    record: new ServerRecord(
      (detail) => log.push(`degraded ${detail}`),
      () => pool.isLinked,
    ),
    requestTimeoutMs: 500,
    readTimeoutMs: 24_000,
    alarms: new SeenAlarms(clock),
    drainProbe: NO_PROBE,
    drained: () => log.push('drained'),
    silenced: (silence) => log.push(`silenced ${silence}`),
    laneEnded: () => log.push('laneEnded'),
    ...change,
    clock,
    log,
    pool,
  };
}
