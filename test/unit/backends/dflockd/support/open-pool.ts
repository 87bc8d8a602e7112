import { afterEach, beforeEach, expect } from '@jest/globals';
import type { RemoteConfig } from '../../../../../lib/backends/dflockd/lanes/config.js';
import type { Lane } from '../../../../../lib/backends/dflockd/lanes/lane.js';
import { ServerPool } from '../../../../../lib/backends/dflockd/server-pool.js';
import { LockError } from '../../../../../lib/common/errors.js';
import { FakeClock } from '../../../../support/fake-clock.js';
import { until } from '../../../../support/until.js';
import { FakeServer, obliging, type Peer } from './fake-server.js';

/** A pool of two command lanes on virtual time, and what it tells. */
export class OpenPool {
  readonly clock = new FakeClock({ now: 1000 });
  readonly told: string[] = [];
  readonly pool: ServerPool;

  constructor(
    readonly server: FakeServer,
    change: Partial<RemoteConfig> = {},
  ) {
    const { endpoint } = server;
    const config: RemoteConfig = {
      endpoints: [endpoint],
      tls: undefined,
      auth: undefined,
      shardingStrategy: undefined,
      connectTimeoutMs: 2000,
      requestTimeoutMs: 1000,
      readTimeoutMs: 24_000,
      reconnect: { minDelayMs: 100, maxDelayMs: 1000 },
      commandLanes: 2,
      maxWaitLanes: 3,
      waitersPerKey: 1,
      placeLeaseMs: 3000,
      autoRelease: true,
      fencing: 'none',
      ...change,
    };
    const entropy = { unit: () => 1, fill: () => undefined };
    this.pool = new ServerPool(endpoint, config, this.clock, entropy, {
      link: (label, state, error) => this.told.push([label === endpoint.label && state, error?.code].join(' ').trim()),
      degraded: (_, detail) => this.told.push(detail),
      hastened: (_, detail) => this.told.push(detail),
    });
  }

  /** All command lanes and the control lane. */
  async allUp(): Promise<void> {
    await this.pool.start();
    await until(() => this.server.peers.length === 3 && this.pool.stats().command === 2, 'all connections');
    await until(() => this.commands().length === 2, 'two command lanes');
  }

  /** The command lanes that can be used, the next one first. */
  commands(): Lane[] {
    const found: Lane[] = [];
    for (let lane = this.pool.command(); lane && !found.includes(lane); lane = this.pool.command()) {
      found.push(lane);
      lane.adopt();
    }
    for (const lane of found) lane.disown();
    return found;
  }

  /** A connected wait lane. */
  waitLane(): Promise<Lane> {
    return new Promise((resolve, reject) => {
      this.pool.wait('head', (outcome) => (outcome instanceof LockError ? reject(outcome) : resolve(outcome)));
    });
  }

  /** Whose requests have been of this kind. */
  peersOf(t: string): Peer[] {
    return this.server.peers.filter(({ requests }) => requests.some((r) => r.t === t));
  }

  /** Resolves with how many alarms are left. */
  async close(): Promise<number> {
    const closed = this.pool.close(0);
    this.clock.advance(0);
    await closed;
    return this.pool.alarms.size + this.pool.waits.size;
  }
}

/**
 * Opens a pool on a server of its own before each test, and checks that closing it leaves nothing behind.
 *
 * @param use is told the pool that is open
 * @returns opens another pool instead
 */
export function usePool(use: (opened: OpenPool) => void): (change: Partial<RemoteConfig>) => void {
  let opened: OpenPool;

  function open(server: FakeServer, change: Partial<RemoteConfig> = {}): void {
    opened = new OpenPool(server, change);
    use(opened);
  }

  beforeEach(async () => open(await FakeServer.start(obliging)));

  afterEach(async () => {
    expect(await opened.close()).toBe(0);
    await opened.server.close();
  });

  return (change) => open(opened.server, change);
}
