import { until } from '../until.js';
import { RedisServer, type RedisOptions } from './server.js';

export interface SentinelOptions extends RedisOptions {
  /** How many sentinels watch; most of them must agree. Default: 1 */
  readonly sentinels?: number;
  /** How long the master must be silent. Default: 500 */
  readonly downAfterMs?: number;
}

const FAILOVER_MS = 30_000;

/** A master, its replica, and sentinels that put the replica in the place of a master that is silent. */
export class RedisSentinel {
  readonly name = 'locks';

  private constructor(
    readonly servers: readonly RedisServer[],
    readonly sentinels: readonly RedisServer[],
  ) {}

  static async start({ sentinels = 1, downAfterMs = 500, ...options }: SentinelOptions = {}): Promise<RedisSentinel> {
    const started: RedisServer[] = [];
    const begin = async (...args: Parameters<typeof RedisServer.start>): Promise<RedisServer> => {
      const server = await RedisServer.start(...args);
      started.push(server);
      return server;
    };
    try {
      const secret = options.password === undefined ? [] : [`masterauth ${options.password}`];
      const config = [...(options.config ?? []), ...secret];
      const master = await begin({ ...options, config });
      const replicaOf = `replicaof ${master.host} ${master.port}`;
      const replica = await begin({ ...options, config: [...config, replicaOf] });
      await until(async () => (await replica.info('master_link_status')) === 'up', 'the replica');
      const watch = [
        `sentinel monitor locks ${master.host} ${master.port} ${Math.floor(sentinels / 2) + 1}`,
        `sentinel down-after-milliseconds locks ${downAfterMs}`,
        'sentinel failover-timeout locks 5000',
        'sentinel parallel-syncs locks 1',
        ...(options.password === undefined ? [] : [`sentinel auth-pass locks ${options.password}`]),
      ];
      const watchers = await Promise.all(
        Array.from({ length: sentinels }, () => begin({ config: watch }, ['--sentinel'])),
      );
      const pair = new RedisSentinel([master, replica], watchers);
      await until(() => pair.isKnown(), 'the sentinels to know everybody', FAILOVER_MS);
      return pair;
    } catch (error) {
      await Promise.all(started.map((server) => server.stop()));
      throw error;
    }
  }

  /** Where a client asks for the master. */
  get addresses(): { host: string; port: number }[] {
    return this.sentinels.map(({ host, port }) => ({ host, port }));
  }

  /** The server that the first sentinel calls master. */
  async master(): Promise<RedisServer> {
    const [, port] = (await this.sentinels[0]!.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.name)) as string[];
    return this.servers.find((server) => server.port === Number(port))!;
  }

  async replica(): Promise<RedisServer> {
    const master = await this.master();
    return this.servers.find((server) => server !== master)!;
  }

  /** Resolves with the new master when all sentinels know it and it takes writes. */
  async failedOver(from: RedisServer): Promise<RedisServer> {
    return until(
      async () => {
        const master = await this.master();
        return master !== from && (await master.info('role')) === 'master' ? master : undefined;
      },
      'the failover',
      FAILOVER_MS,
    );
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server.stop()));
  }

  private async isKnown(): Promise<boolean> {
    const each = await Promise.all(
      this.sentinels.map(async (sentinel) => {
        const reply = (await sentinel.command('SENTINEL', 'MASTER', this.name)) as string[];
        const field = (name: string): number => Number(reply[reply.indexOf(name) + 1]);
        return field('num-slaves') === 1 && field('num-other-sentinels') === this.sentinels.length - 1;
      }),
    );
    return each.every(Boolean);
  }
}
