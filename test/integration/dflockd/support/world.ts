import type { DflockdServerOptions } from '../../../../lib/daemon/shared/options.js';
import { DflockdServer } from '../../../../lib/daemon/server.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import type { LockClientOptions, RemoteOptions } from '../../../../lib/locks/options/options.js';
import { OlderDaemon } from '../../../support/older-daemon.js';
import { until } from '../../../support/until.js';

/** A daemon and the clients of one test; closes what it opened. */
export class World {
  private readonly closers: (() => Promise<unknown>)[] = [];
  daemon!: DflockdServer;
  port = 0;

  static async open(options: DflockdServerOptions = {}): Promise<World> {
    const world = new World();
    world.daemon = await world.server(options);
    world.port = world.daemon.address()!.port;
    return world;
  }

  /** With a daemon that behaves as 1.10 did. */
  static async older(): Promise<World> {
    const world = new World();
    const daemon = new OlderDaemon({ port: 0, maxLocks: 100_000, shutdownTimeout: 0.2 });
    world.port = (await daemon.listen()).port;
    world.later(() => daemon.close());
    return world;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async server(options: DflockdServerOptions = {}): Promise<DflockdServer> {
    const server = new DflockdServer({ port: 0, maxLocks: 100_000, shutdownTimeout: 0.2, ...options });
    await server.listen();
    this.later(() => server.close());
    return server;
  }

  async client(
    servers: readonly string[] = [this.address],
    remote: RemoteOptions = {},
    more = {},
  ): Promise<LockClient> {
    const options: LockClientOptions = { servers, remote, shutdownTimeoutS: 0.2, ...more };
    const client = await LockClient.connect(options);
    this.later(() => client.close());
    return client;
  }

  later(close: () => Promise<unknown>): void {
    this.closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.closers.reverse()) await close();
  }

  /** Waits until the daemon knows of nobody who holds or waits for anything. */
  async empty(client: LockClient): Promise<void> {
    await until(async () => {
      const stats = await client.stats();
      return stats.every(({ locks, semaphores }) => locks.length === 0 && semaphores.length === 0);
    }, 'the daemon to have no holder and no waiter');
  }
}
